/*
 * The bait: a directory where everybody may do everything, files with secrets in them and
 * listeners, so that only a cage keeps an attack away. It is looked at after every attack, and
 * what has changed is judged whatever the attack said about itself.
 *
 * The directory above is not listable and its name is random: other users of the machine cannot
 * find what is open to all in it. Paths come from here alone, never from a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"

/* Where everybody may write on most hosts; "" is the root. */
const char *const bait_places[BAIT_PLACES] = {"/tmp", "/var/tmp", "/dev/shm", "/run", ""};

static int place_file(struct bait *bait, size_t index, const char *name, enum mark mark,
		      mode_t mode)
{
	struct bait_file *file = &bait->files[index];
	auto_fd fd = -1;

	(void)snprintf(file->path, sizeof(file->path), "%s/%s", bait->open, name);
	fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, bait->marks->text[mark], MARK_BYTES - 1) || fchmod(fd, mode) ||
	    fstat(fd, &file->before))
		return -errno;
	return 0;
}

static int place_directories(struct bait *bait)
{
	char path[128];

	(void)snprintf(bait->top, sizeof(bait->top), "/tmp/pysandbox-doctor-XXXXXX");
	if (!mkdtemp(bait->top)) {
		bait->top[0] = '\0';
		return -errno;
	}
	(void)snprintf(bait->open, sizeof(bait->open), "%s/open", bait->top);
	(void)snprintf(bait->token, sizeof(bait->token), "%s" BAIT_SHARED,
		       strrchr(bait->top, '/') + 1);
	(void)snprintf(path, sizeof(path), "%s/mount", bait->top);
	bait->hold = open(bait->top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (bait->hold < 0 || flock(bait->hold, LOCK_EX | LOCK_NB) || fchmod(bait->hold, 0711) ||
	    mkdir(bait->open, 0700) || mkdir(path, 0777))
		return -errno;
	/* Where the attacks run that are tried without a cage. */
	(void)snprintf(path, sizeof(path), "%s/work", bait->top);
	return mkdir(path, 0777) ? -errno : 0;
}

static int place_files(struct bait *bait)
{
	const char *name = bait->marks->text[MARK_NAME];
	int rc = place_file(bait, 0, "canary", MARK_CANARY, 0644);

	if (!rc)
		rc = place_file(bait, 1, "private", MARK_PRIVATE, 0600);
	if (!rc)
		rc = place_file(bait, 2, "writable", MARK_CANARY, 0666);
	if (!rc)
		rc = place_file(bait, 3, "removable", MARK_CANARY, 0666);
	return rc ? rc : place_file(bait, 4, name, MARK_CANARY, 0644);
}

static int listen_on(struct bait *bait, enum bait_socket which, int family, int kind,
		     const struct sockaddr *address, socklen_t len)
{
	auto_fd fd = socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in6 bound = {0}; /* the port is at the same place in both families */
	socklen_t bound_len = sizeof(bound);

	if (fd < 0 || bind(fd, address, len) || (kind == SOCK_STREAM && listen(fd, 8)))
		return -errno;
	if (family != AF_UNIX) {
		if (getsockname(fd, (struct sockaddr *)&bound, &bound_len))
			return -errno;
		bait->ports[which] = ntohs(bound.sin6_port);
	}
	bait->sockets[which] = take_fd(fd);
	return 0;
}

static int listen_unix(struct bait *bait, enum bait_socket which, int kind, const char *name,
		       bool abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t at = abstract;
	int n = snprintf(address.sun_path + at, sizeof(address.sun_path) - at, "%s", name);
	socklen_t len;

	if (n < 0 || (size_t)n >= sizeof(address.sun_path) - at)
		return -ENAMETOOLONG;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + at + (size_t)n);
	if (listen_on(bait, which, AF_UNIX, kind, (struct sockaddr *)&address, len))
		return -errno;
	return !abstract && chmod(name, 0777) ? -errno : 0;
}

static int place_listeners(struct bait *bait)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	const struct sockaddr *any4 = (struct sockaddr *)&v4;
	char name[128];
	int rc;

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rc = listen_on(bait, BAIT_TCP, AF_INET, SOCK_STREAM, any4, sizeof(v4));
	if (!rc)
		rc = listen_on(bait, BAIT_UDP, AF_INET, SOCK_DGRAM, any4, sizeof(v4));
	if (!rc)
		rc = listen_unix(bait, BAIT_ABSTRACT, SOCK_STREAM, bait->token, true);
	(void)snprintf(name, sizeof(name), "%s-datagram", bait->token);
	if (!rc)
		rc = listen_unix(bait, BAIT_ABSTRACT_DATAGRAM, SOCK_DGRAM, name, true);
	(void)snprintf(name, sizeof(name), "%s/socket", bait->open);
	if (!rc)
		rc = listen_unix(bait, BAIT_PATH, SOCK_STREAM, name, false);
	(void)snprintf(name, sizeof(name), "%s/datagram", bait->open);
	if (!rc)
		rc = listen_unix(bait, BAIT_PATH_DATAGRAM, SOCK_DGRAM, name, false);
	/* Many hosts have no IPv6; the attack is told so. */
	(void)listen_on(bait, BAIT_TCP6, AF_INET6, SOCK_STREAM, (struct sockaddr *)&v6, sizeof(v6));
	return rc;
}

int bait_place(struct bait *bait, const struct marks *marks)
{
	int rc;

	*bait = (struct bait){.marks = marks, .hold = -1};
	for (size_t i = 0; i < BAIT_SOCKETS; i++)
		bait->sockets[i] = -1;
	rc = place_directories(bait);
	if (!rc)
		rc = place_files(bait);
	if (!rc)
		rc = place_listeners(bait);
	/* Only now that all is in it: nobody could put a link where we were about to write. */
	if (!rc && chmod(bait->open, 0777))
		rc = -errno;
	if (rc)
		bait_remove(bait);
	return rc;
}
