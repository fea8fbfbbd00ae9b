/*
 * Arms the wrappers inside of a keeper: it is exec'd without environment or arguments, so what is to
 * fail stands in the file `inject` beside it, and what failed is written to `fired`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject.h"

static char folder[512];

static int open_beside(const char *name, int flags)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644);
}

static void tell(void)
{
	const char *name = inject_fired();
	char text[80];
	int fd;

	inject_arm(false);
	fd = open_beside("fired", O_WRONLY | O_CREAT | O_TRUNC);
	(void)snprintf(text, sizeof(text), "%ld %s", inject_count(), name ? name : "-");
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
}

__attribute__((constructor)) static void arm(void)
{
	char number[24] = "";
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash = len > 0 ? strrchr(folder, '/') : NULL;
	int fd;

	if (!slash)
		abort();
	*slash = '\0';
	fd = open_beside("inject", O_RDONLY);
	if (fd < 0 || read(fd, number, sizeof(number) - 1) <= 0)
		abort();
	(void)close(fd);
	inject_begin(strtol(number, NULL, 10));
	(void)atexit(tell);
	inject_arm(true);
}
