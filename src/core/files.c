/*
 * Input files: each path is opened once, no symlink anywhere in it, and what was opened is what is
 * checked and read. The contents travel inside of the request, so the guest never sees a host
 * path, a host descriptor or a later change of the file.
 */
#include "core/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/options.h"

/* Relative, no empty, "." or ".." parts, every part and the depth within bounds. */
static int check_guest_name(const char *name, struct psb_error *err)
{
	size_t depth = 0;
	int error;

	if (!name || !*name)
		return psb_fail(err, PSB_E_INVALID, 0, "file: the guest name is empty");
	error = options_check_text("file: guest name", name, 1024, err);
	if (error)
		return error;
	for (const char *part = name;; part++) {
		size_t len = strcspn(part, "/");

		if (len == 0 || len > FILES_MAX_NAME_BYTES || ++depth > FILES_MAX_DEPTH ||
		    (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
			return psb_fail(err, PSB_E_INVALID, 0,
					"file: \"%s\" is no plain path beneath the workspace; use "
					"a relative one without \".\", \"..\" or empty parts",
					name);
		part += len;
		if (!*part)
			return 0;
	}
}

static int open_no_symlinks(const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	return (int)fd;
}

static int open_input(const char *path, uint64_t room, size_t *size, int *out,
		      struct psb_error *err)
{
	auto_fd fd = open_no_symlinks(path);
	struct stat info;

	if (fd < 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno, "file: cannot open \"%s\"%s", path,
				errno == ELOOP ? " (symlinks are not followed)" : "");
	if (fstat(fd, &info) != 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "file: fstat \"%s\"", path);
	if (!S_ISREG(info.st_mode))
		return psb_fail(err, PSB_E_NOT_FOUND, 0, "file: \"%s\" is no regular file", path);
	if ((uint64_t)info.st_size > room)
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"file: \"%s\" has %lld bytes, %llu are left of "
				"limits.workspace_bytes; raise it or pass less",
				path, (long long)info.st_size, (unsigned long long)room);
	*size = (size_t)info.st_size;
	*out = take_fd(fd);
	return 0;
}

/* Reads at most size bytes: a file that grows meanwhile is cut, one that shrinks is short. */
static int read_input(const char *path, uint64_t room, uint8_t **data, size_t *len,
		      struct psb_error *err)
{
	auto_fd fd = -1;
	auto_free uint8_t *bytes = NULL;
	size_t size = 0;
	size_t have = 0;
	int error = open_input(path, room, &size, &fd, err);

	if (error)
		return error;
	bytes = malloc(size + 1);
	if (!bytes)
		return psb_fail(err, PSB_E_MEMORY, 0, "file: no memory for \"%s\"", path);
	while (have < size) {
		ssize_t n = read(fd, bytes + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return psb_fail(err, PSB_E_SYSTEM, errno, "file: read \"%s\"", path);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*data = take_ptr(bytes);
	*len = have;
	return 0;
}

static int check_twice(const struct psb_request *request, size_t index, struct psb_error *err)
{
	for (size_t i = 0; i < index; i++) {
		if (strcmp(request->files[i].guest_name, request->files[index].guest_name) == 0)
			return psb_fail(err, PSB_E_INVALID, 0, "file: \"%s\" is given twice",
					request->files[index].guest_name);
	}
	return 0;
}

static int load_one(const struct psb_request *request, size_t index, uint64_t room,
		    struct input_files *files, struct psb_error *err)
{
	const struct psb_file *file = &request->files[index];
	struct request_file *item = &files->items[index];
	int error = check_guest_name(file->guest_name, err);

	if (!error)
		error = check_twice(request, index, err);
	if (error)
		return error;
	item->name = file->guest_name;
	if (file->host_path) {
		error = read_input(file->host_path, room, &files->owned[index], &item->data_len,
				   err);
		item->data = files->owned[index];
		return error;
	}
	if (!file->data && file->data_len > 0)
		return psb_fail(err, PSB_E_INVALID, 0,
				"file: \"%s\" has neither a host path nor data", file->guest_name);
	if (file->data_len > room)
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"file: \"%s\" has %zu bytes, %llu are left of "
				"limits.workspace_bytes; raise it or pass less",
				file->guest_name, file->data_len, (unsigned long long)room);
	item->data = file->data;
	item->data_len = file->data_len;
	return 0;
}

int files_load(const struct psb_request *request, const struct psb_limits *limits,
	       struct input_files *out, struct psb_error *err)
{
	struct input_files files = {.count = request->file_count};
	uint64_t room = limits->workspace_bytes;
	int error = 0;

	*out = (struct input_files){.count = 0};
	if (request->file_count == 0)
		return 0;
	if (request->file_count > FILES_MAX_COUNT || !request->files)
		return psb_fail(err, PSB_E_INVALID, 0, "file: %zu files; at most %u can be given",
				request->file_count, FILES_MAX_COUNT);
	files.items = calloc(files.count, sizeof(*files.items));
	files.owned = calloc(files.count, sizeof(*files.owned));
	if (!files.items || !files.owned) {
		files_free(&files);
		return psb_fail(err, PSB_E_MEMORY, 0, "file: out of memory");
	}
	for (size_t i = 0; !error && i < files.count; i++) {
		error = load_one(request, i, room, &files, err);
		room -= files.items[i].data_len;
	}
	if (error)
		files_free(&files);
	else
		*out = files;
	return error;
}

uint64_t files_bytes(const struct input_files *files)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < files->count; i++)
		sum += files->items[i].data_len;
	return sum;
}

void files_free(struct input_files *files)
{
	for (size_t i = 0; files->owned && i < files->count; i++)
		free(files->owned[i]);
	free(files->owned);
	free(files->items);
	*files = (struct input_files){.count = 0};
}
