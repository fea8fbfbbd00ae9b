/* The five cleanup macros of the house (docs/style.md). */
#ifndef PSB_CLEANUP_H
#define PSB_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes once, keeps errno, never retries: on Linux the descriptor is gone after EINTR too. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		(void)close(*fd);
		errno = saved;
		*fd = -1;
	}
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static inline int take_fd_(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *take_ptr_(void *p)
{
	void *taken = *(void **)p;

	*(void **)p = NULL;
	return taken;
}

#define auto_fd __attribute__((cleanup(close_fd))) int
#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *
#define take_fd(fd) take_fd_(&(fd))
#define take_ptr(ptr) ((__typeof__(ptr))take_ptr_(&(ptr)))

#endif
