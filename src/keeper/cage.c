/*
 * Theory of operation: the keeper forks a builder, which makes the namespaces (the identity maps are
 * written by the keeper, which has the rights), then the template's two processes as siblings of
 * its own, children of the keeper: the first process of the pid namespace and the zygote; then it
 * ends. The zygote's process completes the cage before it execs the interpreter, so that site, .pth
 * files and preloaded modules run inside: the host's directories are opened with the caller's
 * rights, the identity changes, the root is built and entered, capabilities and filters follow.
 * The pid namespace belongs to the zygote's user namespace: it may enter new ones and come back.
 * Trust: still our own code with no foreign byte read. Any failure is reported and ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engines/aside.h"
#include "ipc/fdpass.h"
#include "keeper/keeper.h"
#include "keeper/runner_start.h"

#define GUEST_ID 1000
#define CONTROL_FD 252 /* PSB_CONTROL_FD of guest/ext/psb_ext.h */
#define CAP_SETGID_NUMBER 6
#define CAP_SETUID_NUMBER 7
#define CAP_SYS_ADMIN_NUMBER 21
/* setns() by pidfd asks for CAP_SYS_PTRACE where the target is not dumpable, as the instance's init
 * is; ptrace itself stays refused by the filter. All count in the zygote's user namespace only. */
#define CAP_SYS_PTRACE_NUMBER 19
#define ZYGOTE_CAPS                                                                                \
	(JAIL_CAP(CAP_SETGID_NUMBER) | JAIL_CAP(CAP_SETUID_NUMBER) |                               \
	 JAIL_CAP(CAP_SYS_PTRACE_NUMBER) | JAIL_CAP(CAP_SYS_ADMIN_NUMBER))
#define GUEST_NICE 5

static void report(const struct cage_pipes *pipes, const struct jail_fault *fault)
{
	struct spawn_reply reply = {.type = SPAWN_FAILED, .slot = KEEPER_MAX_SLOTS};

	reply.sys_errno = fault->sys_errno;
	memcpy(reply.text, fault->step, sizeof(reply.text));
	(void)!write(pipes->control, &reply, sizeof(reply));
}

static int send_listener(const struct cage_pipes *pipes, int listener)
{
	const struct spawn_reply reply = {.type = SPAWN_LISTENER, .slot = KEEPER_MAX_SLOTS};

	return fdpass_send(pipes->control, &reply, sizeof(reply), &listener, 1);
}

/* Tells the keeper to write the maps and waits until it has. */
static int wait_for_maps(const struct cage_pipes *pipes, struct jail_fault *fault)
{
	char byte = 'm';

	if (write(pipes->sync_write, &byte, 1) != 1 || read(pipes->sync_read, &byte, 1) != 1)
		return jail_fail(fault, EPIPE, "wait for the identity maps");
	if (byte != 'k')
		return jail_fail(fault, EPERM, "write the identity maps");
	return 0;
}

static int take_id(uint32_t id, struct jail_fault *fault)
{
	if (syscall(SYS_setresgid, id, id, id) < 0)
		return jail_fail(fault, errno, "setresgid %u", id);
	if (syscall(SYS_setresuid, id, id, id) < 0)
		return jail_fail(fault, errno, "setresuid %u", id);
	return 0;
}

static int make_namespaces(const struct cage_pipes *pipes, struct jail_fault *fault)
{
	const int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
			  CLONE_NEWCGROUP | CLONE_NEWPID;

	if (unshare(flags) < 0)
		return jail_fail(fault, errno, "unshare namespaces");
	return wait_for_maps(pipes, fault);
}

/* The network namespace takes as long to make as all others and the root together: the first process
 * makes it while the zygote's builds the root. */
static int make_network(int ready, struct jail_fault *fault)
{
	const char byte = 'n';

	if (unshare(CLONE_NEWNET) < 0)
		return jail_fail(fault, errno, "unshare the network namespace");
	return write(ready, &byte, 1) == 1 ? 0 : jail_fail(fault, errno, "tell of the network");
}

static int join_network(int ready, struct jail_fault *fault)
{
	int pidfd;
	char byte;
	int rc;

	if (read(ready, &byte, 1) != 1)
		return jail_fail(fault, EPIPE, "wait for the network namespace");
	pidfd = (int)syscall(SYS_pidfd_open, 1, 0); /* the first process */
	if (pidfd < 0)
		return jail_fail(fault, errno, "pidfd_open of the first process");
	rc = setns(pidfd, CLONE_NEWNET);
	if (rc < 0)
		(void)jail_fail(fault, errno, "setns to the network namespace");
	(void)close(pidfd);
	return rc;
}

static int enter_namespaced(const struct keeper *keeper, int network_ready,
			    struct jail_fault *fault)
{
	guest_root_open(&keeper->config);
	if (take_id(GUEST_ID, fault) < 0 || guest_root_enter(fault) < 0 ||
	    join_network(network_ready, fault) < 0)
		return -1;
	if (sethostname("sandbox", 7) < 0)
		return jail_fail(fault, errno, "sethostname");
	if (jail_caps_bound(ZYGOTE_CAPS, fault) < 0 || jail_caps_ambient(ZYGOTE_CAPS, fault) < 0)
		return -1;
	return 0;
}

/* Rungs C and D: what can be cut without namespaces. Landlock lets the interpreter's files be read
 * and the slots' directories be written. */
static int enter_plain(const struct keeper *keeper, struct jail_fault *fault)
{
	const struct keeper_config *config = &keeper->config;
	char packages[64];
	const struct jail_landlock_rule rules[] = {
		{.path = config->python},
		{.path = config->python_prefix,
		 .optional = strcmp(config->python_prefix, "/usr") == 0},
		{.path = keeper->workspace_root, .writable = true},
		{.path = config->libexec},
		{.path = packages, .optional = true},
		{.path = "/usr/lib/python3", .optional = true},
		{.path = "/usr/lib/x86_64-linux-gnu", .optional = true},
		{.path = "/usr/lib64", .optional = true},
		{.path = "/usr/lib/locale/C.utf8", .optional = true},
		{.path = "/usr/share/zoneinfo", .optional = true},
		{.path = "/usr/share/fonts", .optional = true},
		{.path = "/usr/share/matplotlib", .optional = true},
		{.path = "/etc/ld.so.cache", .optional = true},
		{.path = "/etc/alternatives", .optional = true},
		{.path = "/etc/localtime", .optional = true},
		{.path = "/etc/fonts", .optional = true},
		{.path = "/etc/matplotlibrc", .optional = true},
		{.path = "/dev/null", .writable = true},
		{.path = "/dev/zero", .writable = true},
		{.path = "/dev/full", .writable = true, .optional = true},
		{.path = "/dev/urandom", .optional = true},
		{.path = "/dev/random", .optional = true},
		{.path = config->venv, .optional = true},
	};
	int ruleset;

	(void)snprintf(packages, sizeof(packages), "/usr/local/lib/python%.8s",
		       config->python_version);
	if (keeper->uid_base && take_id(keeper->uid_base, fault) < 0)
		return -1;
	if (jail_no_new_privs(fault) < 0 || jail_caps_clear(fault) < 0)
		return -1;
	if (keeper->rung == RUNG_D)
		return 0;
	ruleset = jail_landlock_create(rules, sizeof(rules) / sizeof(rules[0]), true, fault);
	if (ruleset < 0)
		return -1;
	return jail_landlock_restrict(ruleset, fault);
}

static int set_limits(struct jail_fault *fault)
{
	/* Thread stacks take their default from the soft limit at exec. */
	struct rlimit stack = {.rlim_cur = 1u << 20, .rlim_max = 64u << 20};
	const struct rlimit core = {0};
	struct rlimit given;

	if (getrlimit(RLIMIT_STACK, &given) == 0 && given.rlim_max < stack.rlim_max)
		stack.rlim_max = given.rlim_max; /* no more than the caller may have */
	if (stack.rlim_cur > stack.rlim_max)
		stack.rlim_cur = stack.rlim_max;
	if (setrlimit(RLIMIT_STACK, &stack) < 0 || setrlimit(RLIMIT_CORE, &core) < 0)
		return jail_fail(fault, errno, "setrlimit");
	/* A batch task never preempts another at its wake-up: a dying guest's teardown must not keep
	 * the keeper and the host from telling that it has ended. By number: musl has no such function. */
	(void)syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &(struct sched_param){0});
	(void)setpriority(PRIO_PROCESS, 0, GUEST_NICE);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

static int place_descriptors(const struct cage_pipes *pipes, struct jail_fault *fault)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0)
		return jail_fail(fault, errno, "open /dev/null");
	if (dup2(null, 0) < 0 || dup2(pipes->output, 1) < 0 || dup2(pipes->output, 2) < 0 ||
	    dup2(pipes->control, CONTROL_FD) < 0)
		return jail_fail(fault, errno, "dup2");
	if (syscall(SYS_close_range, 3, CONTROL_FD - 1, 0) < 0 ||
	    syscall(SYS_close_range, CONTROL_FD + 1, ~0u, 0) < 0)
		return jail_fail(fault, errno, "close_range");
	return 0;
}

/* argv[0] of a venv's interpreter makes CPython find pyvenv.cfg. */
static void exec_python(const struct keeper *keeper, struct jail_fault *fault)
{
	const struct keeper_config *config = &keeper->config;
	char argv0[600];
	char script[600];
	const char *single = config->single_use ? "1" : "0";
	/* psb_start.py, told where it would have been. */
	static const char start[] = "import sys\n__file__ = sys.argv.pop(1)\n";
	char code[sizeof(start) + sizeof(runner_start)];
	bool listed = !config->single_use && config->imports[0];
	const char *argv[] = {argv0,  "-I",
			      "-S",   "-B",
			      "-c",   code,
			      script, config->preload,
			      single, listed ? config->imports : NULL,
			      NULL};
	const char *env[] = {"LANG=C.UTF-8",
			     "MALLOC_ARENA_MAX=1",
			     "OPENBLAS_NUM_THREADS=1",
			     "OMP_NUM_THREADS=1",
			     "MKL_NUM_THREADS=1",
			     config->spare_env[0][0] ? config->spare_env[0] : "PSB_UNUSED=",
			     config->spare_env[1][0] ? config->spare_env[1] : "PSB_UNUSED=",
			     NULL};
	char *const *argv_exec;
	char *const *env_exec;

	(void)snprintf(argv0, sizeof(argv0), "%s", config->python);
	if (config->venv[0])
		(void)snprintf(argv0, sizeof(argv0), "%s/bin/python3", config->venv);
	if (has_namespaces(keeper))
		(void)snprintf(script, sizeof(script), "/psb/psb_start.py");
	else
		(void)snprintf(script, sizeof(script), "%s/psb/psb_start.py", config->libexec);
	(void)snprintf(code, sizeof(code), "%s%s", start, runner_start);
	memcpy(&argv_exec, &(const char *const *){argv}, sizeof(argv_exec));
	memcpy(&env_exec, &(const char *const *){env}, sizeof(env_exec));
	(void)execve(config->python, argv_exec, env_exec);
	(void)jail_fail(fault, errno, "exec %.40s", config->python);
}

__attribute__((noreturn)) static void zygote_main(const struct keeper *keeper,
						  const struct cage_pipes *pipes, int network_ready)
{
	const struct cage_pipes placed = {.control = CONTROL_FD};
	struct jail_fault fault = {0};
	int listener = -1;
	int rc;

	aside_roam(&keeper->processors); /* made where its maker had to be */
	rc = has_namespaces(keeper) ? enter_namespaced(keeper, network_ready, &fault)
				    : enter_plain(keeper, &fault);
	if (rc == 0)
		rc = set_limits(&fault);
	if (rc == 0)
		rc = jail_seccomp_template(keeper->rung, &listener, &fault);
	if (rc == 0 && send_listener(pipes, listener) < 0)
		rc = jail_fail(&fault, errno, "send the filter's listener");
	if (rc == 0)
		rc = place_descriptors(pipes, &fault);
	if (rc == 0) {
		exec_python(keeper, &fault);
		report(&placed, &fault);
		_exit(1);
	}
	report(pipes, &fault);
	_exit(1);
}

/* The first process: no foreign code, no descriptors but the pipe whose end of file is the
 * keeper's death. */
__attribute__((noreturn)) static void first_main(const struct keeper *keeper,
						 const struct cage_pipes *pipes, int network_ready)
{
	const struct spawn_reply hello = {.type = SPAWN_INIT, .slot = KEEPER_MAX_SLOTS};
	struct jail_fault fault = {0};
	char byte;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "psb-init");
	(void)signal(SIGCHLD, SIG_IGN);
	(void)setsid();
	if (has_namespaces(keeper))
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!write(pipes->control, &hello, sizeof(hello));
	if (has_namespaces(keeper) && make_network(network_ready, &fault) < 0)
		report(pipes, &fault);
	(void)dup2(pipes->liveness, 0);
	(void)syscall(SYS_close_range, 1, ~0u, 0);
	do
		n = read(0, &byte, 1);
	while (n < 0 && errno == EINTR);
	workspace_sweep(keeper->workspace_root);
	_exit(0);
}

/* The guest of each instance is process 2 of its namespace. OpenSSL and others notice a fork by
 * the process id alone, so a zygote that forks must not be 2 as well: one id is used up. */
static void burn_process_id(const struct keeper *keeper)
{
	pid_t pid = keeper->config.single_use ? -1 : vfork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

/* A sibling: the keeper's child, born in the new pid namespace. */
static long make_sibling(void)
{
	return syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

/* The template's own group. A single-use zygote without preloads enters its slot's instead, when it
 * becomes the guest; with them, foreign code may start threads, and only a single thread can move
 * itself on v1: it is born in there, and what counts is the difference. On v2 the keeper moves it. */
static int enter_groups(const struct keeper *keeper, struct jail_fault *fault)
{
	int rc = 0;

	if (!has_cgroups(keeper) || keeper->cgroups.host.unified || enters_late(keeper))
		return 0;
	if (keeper->config.single_use)
		rc = cgroup_slot_enter(&keeper->slots[0].cgroup);
	else
		rc = cgroup_tree_enter(&keeper->cgroups);
	return rc < 0 ? jail_fail(fault, -rc, "enter the control groups") : 0;
}

/* The template's two processes. */
static int make_processes(const struct keeper *keeper, const struct cage_pipes *pipes,
			  struct jail_fault *fault)
{
	int ready[2];
	long pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return jail_fail(fault, errno, "pipe");
	pid = make_sibling();
	if (pid == 0)
		first_main(keeper, pipes, ready[1]);
	(void)close(ready[1]);
	if (pid < 0)
		return jail_fail(fault, errno, "fork the first process");
	aside_send_of(&keeper->processors, (pid_t)pid); /* it makes the network meanwhile */
	burn_process_id(keeper);
	pid = make_sibling();
	if (pid == 0)
		zygote_main(keeper, pipes, ready[0]);
	return pid < 0 ? jail_fail(fault, errno, "fork the zygote") : 0;
}

void cage_main(const struct keeper *keeper, const struct cage_pipes *pipes)
{
	struct jail_fault fault = {0};
	sigset_t none;
	int rc = 0;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (keeper->is_root && setgroups(0, NULL) < 0)
		rc = jail_fail(&fault, errno, "setgroups");
	if (rc == 0)
		rc = enter_groups(keeper, &fault);
	if (rc == 0 && has_namespaces(keeper))
		rc = make_namespaces(pipes, &fault);
	if (rc == 0)
		rc = make_processes(keeper, pipes, &fault);
	if (rc < 0)
		report(pipes, &fault);
	_exit(rc < 0);
}
