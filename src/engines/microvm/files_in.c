/*
 * Theory of operation: a stream of records: head, name, data. Directories come before what is in
 * them, so each name is walked component by component from the top, through directories that we
 * made ourselves.
 * Trust boundary: every byte is the guest's. Lengths are checked before use; names may have neither
 * empty nor dotted components, nor a NUL; the walk follows no link, and there are none to follow, as
 * only regular files and directories are made.
 */
#include "files_in.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define FILE_FLAGS (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

static void fail(struct files_in *in, int error)
{
	if (!in->error)
		in->error = error;
	close_fd(&in->fd);
}

static bool component_is_safe(const char *name, size_t len)
{
	return len > 0 && len <= NAME_MAX && !(len == 1 && name[0] == '.') &&
	       !(len == 2 && name[0] == '.' && name[1] == '.');
}

/* The number of components, or 0 if one of them is unsafe. */
static unsigned int count_components(const char *name, size_t bytes)
{
	unsigned int count = 0;

	if (memchr(name, '\0', bytes))
		return 0;
	for (const char *at = name; at <= name + bytes; count++) {
		size_t len = strcspn(at, "/");

		if (!component_is_safe(at, len))
			return 0;
		at += len + 1;
	}
	return count;
}

/* Opens the directory that holds the last component. */
static int walk(const struct files_in *in, char *name, char **last)
{
	auto_fd dir = openat(in->dir_fd, ".", DIR_FLAGS);
	char *slash;

	while (dir >= 0 && (slash = strchr(name, '/'))) {
		int next;

		*slash = '\0';
		next = openat(dir, name, DIR_FLAGS);
		close_fd(&dir);
		dir = next;
		name = slash + 1;
	}
	*last = name;
	return take_fd(dir);
}

/* All of the head and the name are here. */
static void begin_entry(struct files_in *in)
{
	unsigned int depth = count_components(in->name, in->name_bytes);
	auto_fd dir = -1;
	char *last;

	if (depth == 0) {
		fail(in, EBADMSG);
		return;
	}
	if (in->entries_allowed == 0) {
		fail(in, ENOSPC);
		return;
	}
	in->entries_allowed--;
	if (depth > FILES_IN_DEPTH + 1)
		return;
	dir = walk(in, in->name, &last);
	if (dir < 0)
		return; /* below something that was left out */
	if (S_ISDIR(in->record.mode) && mkdirat(dir, last, 0700) < 0)
		fail(in, errno);
	if (!S_ISREG(in->record.mode))
		return;
	in->fd = openat(dir, last, FILE_FLAGS, 0600);
	if (in->fd < 0)
		fail(in, errno);
}

static void end_entry(struct files_in *in)
{
	close_fd(&in->fd);
	in->head_bytes = 0;
	in->name_bytes = 0;
}

static void check_head(struct files_in *in)
{
	memcpy(&in->record, in->head, sizeof(in->record));
	in->left = in->record.data_bytes;
	if (in->record.name_bytes == 0 || in->record.name_bytes > FILES_IN_NAME_BYTES)
		fail(in, EBADMSG);
	else if (in->left > in->bytes_allowed)
		fail(in, ENOSPC);
	else
		in->bytes_allowed -= in->left;
}

static void write_all(struct files_in *in, const uint8_t *data, size_t len)
{
	while (len > 0 && in->fd >= 0) {
		ssize_t n = write(in->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fail(in, errno);
			return;
		}
		data += n;
		len -= (size_t)n;
	}
}

static size_t at_most(size_t len, uint64_t missing)
{
	return len < missing ? len : (size_t)missing;
}

static size_t take(struct files_in *in, const uint8_t *data, size_t len)
{
	size_t taken;

	if (in->head_bytes < sizeof(in->head)) {
		taken = at_most(len, sizeof(in->head) - in->head_bytes);
		memcpy(in->head + in->head_bytes, data, taken);
		in->head_bytes += taken;
		if (in->head_bytes == sizeof(in->head))
			check_head(in);
		return taken;
	}
	if (in->name_bytes < in->record.name_bytes) {
		taken = at_most(len, in->record.name_bytes - in->name_bytes);
		memcpy(in->name + in->name_bytes, data, taken);
		in->name_bytes += taken;
		in->name[in->name_bytes] = '\0';
		if (in->name_bytes == in->record.name_bytes)
			begin_entry(in);
		return taken;
	}
	taken = at_most(len, in->left);
	write_all(in, data, taken);
	in->left -= taken;
	return taken;
}

void files_in_feed(struct files_in *in, const uint8_t *data, size_t len)
{
	while (len > 0 && !in->error) {
		size_t taken = take(in, data, len);

		data += taken;
		len -= taken;
		if (!in->error && in->head_bytes == sizeof(in->head) &&
		    in->name_bytes == in->record.name_bytes && in->left == 0)
			end_entry(in);
	}
}

bool files_in_complete(const struct files_in *in)
{
	return !in->error && in->head_bytes == 0;
}

void files_in_close(struct files_in *in)
{
	close_fd(&in->fd);
}
