/*
 * Datagrams of exactly one struct, with descriptors and the sender's process id. Used on every
 * control socket: library, keeper and the guest's zygote. Makes system calls only: no allocation.
 */
#ifndef PSB_IPC_FDPASS_H
#define PSB_IPC_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 7

/* What fdpass_receive() returns besides a count. */
#define FDPASS_END (-1)   /* end of file or an error */
#define FDPASS_SIZE (-2)  /* a message of another size; its descriptors are closed */
#define FDPASS_EMPTY (-3) /* MSG_DONTWAIT and nothing there */

/* fds stay the caller's; count is 0..FDPASS_MAX. Raises no SIGPIPE. 0 or -errno. */
int fdpass_send(int socket, const void *message, size_t size, const int *fds, size_t count);

/* Returns the number of descriptors received, close-on-exec and the caller's; those over max are
 * closed, unused entries of fds are -1. `flags` is 0 or MSG_DONTWAIT. `sender` may be NULL; it is
 * set when the socket has SO_PASSCRED: the kernel's word, as this process's namespace sees it. */
int fdpass_receive(int socket, void *message, size_t size, int *fds, size_t max, int flags,
		   pid_t *sender);

#endif
