/*
 * Theory of operation: one sendmsg(2) or recvmsg(2), repeated after EINTR. The peer of a control
 * socket may be a subverted zygote: a size that is not exact makes the message void, and no
 * descriptor that was not asked for stays open.
 */
#include "ipc/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fdpass_send(int socket, const void *message, size_t size, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_len = size};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	memcpy(&iov.iov_base, &message, sizeof(message)); /* sendmsg does not write to it */
	if (count > 0) {
		struct cmsghdr *cmsg = &control.align;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	do
		n = sendmsg(socket, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void take_fds(const struct cmsghdr *cmsg, int *fds, size_t max, size_t *taken)
{
	size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (size_t i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
		if (*taken < max)
			fds[(*taken)++] = fd;
		else
			(void)close(fd);
	}
}

static size_t take_control(struct msghdr *header, int *fds, size_t max, pid_t *sender)
{
	size_t taken = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
		struct ucred creds;

		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_RIGHTS)
			take_fds(cmsg, fds, max, &taken);
		if (cmsg->cmsg_type == SCM_CREDENTIALS && sender) {
			memcpy(&creds, CMSG_DATA(cmsg), sizeof(creds));
			*sender = creds.pid;
		}
	}
	return taken;
}

int fdpass_receive(int socket, void *message, size_t size, int *fds, size_t max, int flags,
		   pid_t *sender)
{
	union {
		char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = message, .iov_len = size};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	size_t taken;
	ssize_t n;

	for (size_t i = 0; i < max; i++)
		fds[i] = -1;
	do
		n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? FDPASS_EMPTY : FDPASS_END;
	taken = take_control(&header, fds, max, sender);
	if (n == (ssize_t)size && !(header.msg_flags & MSG_TRUNC))
		return (int)taken;
	for (size_t i = 0; i < taken; i++) {
		(void)close(fds[i]);
		fds[i] = -1;
	}
	return FDPASS_SIZE;
}
