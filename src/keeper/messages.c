/*
 * Datagrams to and from the host library and the zygote, with descriptors and the sender's pid.
 * Trust: sizes are exact or the message is dropped; descriptors that were not asked for are closed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/keeper.h"

#define MAX_SENT_FDS (SPAWN_PIPES + SPAWN_GROUPS)

static ssize_t send_with_fds(int socket, const void *message, size_t size, const int *fds,
			     size_t count)
{
	union {
		char bytes[CMSG_SPACE(MAX_SENT_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_len = size};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	memcpy(&iov.iov_base, &message, sizeof(message)); /* sendmsg does not write to it */
	if (count > 0) {
		struct cmsghdr *cmsg;

		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cmsg = &control.align;
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	do
		n = sendmsg(socket, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

void host_send(struct keeper *keeper, const struct keeper_message *message, int fd)
{
	(void)send_with_fds(keeper->host_fd, message, sizeof(*message), &fd, fd >= 0 ? 1 : 0);
}

void host_fail_template(struct keeper *keeper, const char *text)
{
	struct keeper_message message = {.type = KEEPER_TEMPLATE_FAILED};

	if (keeper->template_failed)
		return;
	keeper->template_failed = true;
	(void)snprintf(message.text, sizeof(message.text), "%s", text);
	host_send(keeper, &message, -1);
}

int spawn_send(struct keeper *keeper, const struct spawn_message *message, const int *fds,
	       size_t count)
{
	return send_with_fds(keeper->zygote_fd, message, sizeof(*message), fds, count) < 0 ? -errno
											   : 0;
}

static void take_fds(const struct cmsghdr *cmsg, int *fds, int max_fds, int *taken)
{
	size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	for (size_t i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
		if (*taken < max_fds)
			fds[(*taken)++] = fd;
		else
			(void)close(fd);
	}
}

/* Returns the number of descriptors, -1 on end of file or error, -2 for a message of a wrong size.
 * Unused entries of fds are -1. */
int receive_with_fds(int socket, void *message, size_t size, int *fds, int max_fds, pid_t *sender)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = message, .iov_len = size};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	int taken = 0;
	ssize_t n;

	for (int i = 0; i < max_fds; i++)
		fds[i] = -1;
	do
		n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -3 : -1;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header); cmsg;
	     cmsg = CMSG_NXTHDR(&header, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_RIGHTS)
			take_fds(cmsg, fds, max_fds, &taken);
		if (cmsg->cmsg_type == SCM_CREDENTIALS && sender) {
			struct ucred creds;

			memcpy(&creds, CMSG_DATA(cmsg), sizeof(creds));
			*sender = creds.pid;
		}
	}
	if (n == (ssize_t)size)
		return taken;
	for (int i = 0; i < taken; i++) {
		(void)close(fds[i]);
		fds[i] = -1;
	}
	return -2;
}
