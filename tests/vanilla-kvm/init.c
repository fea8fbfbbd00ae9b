/*
 * The first process of the test machine: loads KVM's modules, runs the commands of /commands one
 * after the other and powers off. What they print goes to the console, between marks that rig.py
 * reads. No trust boundary: a test's own machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WORDS 32
#define KVM_MAJOR 10
#define KVM_MINOR 232

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
		printf("RIG MODULE %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
}

/* The first root file system cannot be pivoted away from: put a mount over it. */
static void leave_rootfs(void)
{
	if (mount("/", "/mnt", NULL, MS_BIND, NULL) < 0 || chdir("/mnt") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		printf("RIG ROOT %s\n", strerror(errno));
}

static void set_up(void)
{
	int console;

	leave_rootfs();
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("sysfs", "/sys", "sysfs", 0, NULL);
	(void)mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	(void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	(void)mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
	console = open("/dev/console", O_RDWR);
	for (int fd = 0; fd < 3 && console >= 0; fd++)
		(void)dup2(console, fd);
	load_module("/modules/irqbypass.ko");
	load_module("/modules/kvm.ko");
	load_module("/modules/kvm-amd.ko");
	(void)mknod("/dev/kvm", S_IFCHR | 0600, makedev(KVM_MAJOR, KVM_MINOR));
}

static int run(char **words)
{
	static char path[] = "PATH=/usr/bin:/bin";
	static char home[] = "HOME=/tmp";
	static char cache[] = "XDG_CACHE_HOME=/tmp";
	static char kernel[] = "PSB_MINI_KERNEL=/mini-kernel";
	char *environment[] = {path, home, cache, kernel, NULL};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execve(words[0], words, environment);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) != pid)
		;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* One command: words between tabs. */
static void run_line(char *line, int number)
{
	char *words[MAX_WORDS + 1] = {NULL};
	char *rest = line;
	char *word;

	for (int i = 0; i < MAX_WORDS && (word = strsep(&rest, "\t\n")); i++)
		if (*word)
			words[i] = word;
		else
			i--;
	if (!words[0])
		return;
	printf("RIG BEGIN %d\n", number);
	printf("\nRIG END %d %d\n", number, run(words));
}

int main(void)
{
	static char line[8192];
	FILE *commands;

	set_up();
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	commands = fopen("/commands", "re");
	for (int number = 0; commands && fgets(line, sizeof(line), commands); number++)
		run_line(line, number);
	printf("RIG DONE\n");
	sync();
	(void)reboot(RB_POWER_OFF);
	for (;;)
		(void)pause();
}
