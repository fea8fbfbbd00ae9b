/*
 * Output files: copies what a dead guest left in its workspace into a directory of the host.
 *
 * Trust boundary: names, kinds, sizes and the tree's shape are the guest's. Every step is relative
 * to a descriptor and follows no symlink on either side; only regular files and directories count;
 * names with control bytes or broken UTF-8 are left out. Apparent bytes, blocks, number of files,
 * depth and name length are capped; the first cap that is passed ends the collection. A file
 * appears under its name complete or not at all. The code has run by now, so the caller must get
 * its outcome whatever the output directory holds: what cannot be stored is listed with the reason.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/options.h"

#define COPY_BYTES (64u << 10)
#define OUT_DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct collector {
	const struct files_workspace *workspace;
	const struct psb_limits *limits;
	struct psb_outcome *outcome;
	bool over;
	uint64_t bytes;
	uint64_t entries;
	size_t capacity;
	char path[FILES_MAX_DEPTH * (FILES_MAX_NAME_BYTES + 1) + 1];
	size_t path_len;
	uint8_t copy[COPY_BYTES];
};

static int collect_dir(struct collector *c, int source_fd, int target_fd, unsigned int depth);

static int make_room(struct collector *c)
{
	struct psb_outcome *outcome = c->outcome;
	size_t wanted = c->capacity ? 2 * c->capacity : 16;
	struct outcome_file *grown;

	if (outcome->file_count < c->capacity)
		return 0;
	grown = reallocarray(outcome->files, wanted, sizeof(*grown));
	if (!grown)
		return PSB_E_MEMORY;
	outcome->files = grown;
	c->capacity = wanted;
	return 0;
}

/* `error` is NULL for what was stored. */
static int list_entry(struct collector *c, uint64_t size, const char *error)
{
	struct outcome_file entry = {.size = size};

	if (make_room(c))
		return PSB_E_MEMORY;
	entry.name = strdup(c->path[0] ? c->path : ".");
	entry.error = error ? strdup(error) : NULL;
	if (!entry.name || (error && !entry.error)) {
		free(entry.name);
		free(entry.error);
		return PSB_E_MEMORY;
	}
	c->outcome->files[c->outcome->file_count++] = entry;
	return 0;
}

/* The entry at c->path stays out of the output directory, and says why. */
static int not_stored(struct collector *c, const char *step)
{
	char text[160];

	(void)snprintf(text, sizeof(text), "%s: %s", step, strerror(errno));
	return list_entry(c, 0, text);
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Copies at most `size` bytes, the size that was counted. NULL, or the step that failed. */
static const char *copy_contents(struct collector *c, int from, int to, uint64_t size,
				 uint64_t *copied)
{
	*copied = 0;
	while (*copied < size) {
		uint64_t left = size - *copied;
		ssize_t n = read(from, c->copy, left < COPY_BYTES ? (size_t)left : COPY_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return "read";
		if (n == 0)
			break;
		if (write_all(to, c->copy, (size_t)n) != 0)
			return "write";
		*copied += (uint64_t)n;
	}
	return NULL;
}

/* Into a fresh temporary name first, then renamed over the real one. */
static int copy_file(struct collector *c, int from, int target_fd, const char *name, uint64_t size)
{
	auto_fd to = -1;
	uint64_t nonce = 0;
	uint64_t copied = 0;
	char temporary[40];
	const char *failed;
	int error;

	if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) != (ssize_t)sizeof(nonce))
		return not_stored(c, "draw a temporary name");
	(void)snprintf(temporary, sizeof(temporary), ".psb-%016llx", (unsigned long long)nonce);
	to = openat(target_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	if (to < 0)
		return not_stored(c, "create");
	failed = copy_contents(c, from, to, size, &copied);
	if (!failed && renameat(target_fd, temporary, target_fd, name) != 0)
		failed = "rename into place";
	if (!failed)
		return list_entry(c, copied, NULL);
	error = not_stored(c, failed);
	(void)unlinkat(target_fd, temporary, 0);
	return error;
}

static int collect_file(struct collector *c, int source_fd, int target_fd, const char *name)
{
	auto_fd from = openat(source_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint64_t real_bytes;
	struct stat info;

	if (from < 0 || fstat(from, &info) != 0)
		return not_stored(c, "open");
	if (!S_ISREG(info.st_mode))
		return 0;
	real_bytes = (uint64_t)info.st_blocks * 512;
	if (real_bytes < (uint64_t)info.st_size)
		real_bytes = (uint64_t)info.st_size;
	c->bytes += (uint64_t)info.st_size;
	if ((uint64_t)info.st_size > c->limits->workspace_bytes ||
	    c->bytes > c->limits->workspace_bytes ||
	    real_bytes > c->limits->workspace_bytes + 4096) {
		c->over = true;
		return 0;
	}
	return copy_file(c, from, target_fd, name, (uint64_t)info.st_size);
}

static int collect_subdir(struct collector *c, int source_fd, int target_fd, const char *name,
			  unsigned int depth)
{
	auto_fd from = openat(source_fd, name, OUT_DIR_FLAGS);
	auto_fd to = -1;

	if (from < 0)
		return not_stored(c, "open");
	if (depth + 1 > FILES_MAX_DEPTH) {
		c->over = true;
		return 0;
	}
	if (mkdirat(target_fd, name, 0755) != 0 && errno != EEXIST)
		return not_stored(c, "make the directory");
	to = openat(target_fd, name, OUT_DIR_FLAGS);
	if (to < 0) /* a file or a symbolic link of the host's is in the way */
		return not_stored(c, "open the directory that is there");
	return collect_dir(c, from, to, depth + 1);
}

static int collect_entry(struct collector *c, int source_fd, int target_fd, const char *name,
			 unsigned int depth)
{
	size_t old_len = c->path_len;
	size_t name_len = strlen(name);
	struct stat info;
	int error = 0;

	if (options_check_text("name", name, FILES_MAX_NAME_BYTES, NULL) ||
	    c->path_len + name_len + 2 > sizeof(c->path))
		return 0;
	if (old_len > 0)
		c->path[c->path_len++] = '/';
	memcpy(c->path + c->path_len, name, name_len + 1);
	c->path_len += name_len;
	if (fstatat(source_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		error = not_stored(c, "look at");
	else if (S_ISDIR(info.st_mode))
		error = collect_subdir(c, source_fd, target_fd, name, depth);
	else if (S_ISREG(info.st_mode))
		error = collect_file(c, source_fd, target_fd, name);
	c->path_len = old_len;
	c->path[old_len] = '\0';
	return error;
}

/* Does the file still hold the program as it was given? */
static bool holds_source(struct collector *c, int fd)
{
	size_t left = c->workspace->own_len;
	const uint8_t *text = c->workspace->own_text;

	for (;;) {
		ssize_t n = read(fd, c->copy, COPY_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 && left == 0;
		if ((size_t)n > left || memcmp(c->copy, text, (size_t)n) != 0)
			return false;
		text += n;
		left -= (size_t)n;
	}
}

/* The runner keeps the program itself in the workspace; only a changed one is the guest's work. */
static bool is_own_source(struct collector *c, int dir_fd, const char *name, unsigned int depth)
{
	const char *own_name = c->workspace->own_name;
	auto_fd fd = -1;
	struct stat info;

	if (depth > 1 || !own_name || strcmp(name, own_name) != 0)
		return false;
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
	       (uint64_t)info.st_size == c->workspace->own_len && holds_source(c, fd);
}

static const struct dirent *next_entry(DIR *dir)
{
	errno = 0;
	return readdir(dir);
}

static int collect_dir(struct collector *c, int source_fd, int target_fd, unsigned int depth)
{
	/* A fresh open, not a dup: a directory position must not be shared with anybody. */
	int fd = openat(source_fd, ".", OUT_DIR_FLAGS);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int error = 0;

	if (!dir) {
		close_fd(&fd);
		return not_stored(c, "read the directory");
	}
	while (!error && !c->over && (entry = next_entry(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    is_own_source(c, source_fd, entry->d_name, depth))
			continue;
		if (++c->entries > c->limits->workspace_files)
			c->over = true;
		else
			error = collect_entry(c, source_fd, target_fd, entry->d_name, depth);
	}
	if (!error && !c->over && errno != 0)
		error = not_stored(c, "read all of the directory");
	(void)closedir(dir);
	return error;
}

static int by_name(const void *a, const void *b)
{
	const struct outcome_file *left = a;
	const struct outcome_file *right = b;

	return strcmp(left->name, right->name);
}

int files_collect(const struct files_workspace *workspace, int output_fd,
		  const struct psb_limits *limits, struct psb_outcome *outcome, bool *over)
{
	struct collector *c = calloc(1, sizeof(*c));
	int error;

	if (!c)
		return PSB_E_MEMORY;
	c->workspace = workspace;
	c->limits = limits;
	c->outcome = outcome;
	error = collect_dir(c, workspace->fd, output_fd, 1);
	*over = c->over;
	free(c);
	if (outcome->file_count > 1)
		qsort(outcome->files, outcome->file_count, sizeof(*outcome->files), by_name);
	return error;
}
