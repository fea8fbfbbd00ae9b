/*
 * The new root. A small tmpfs is mounted over some directory of the (private) mount namespace,
 * filled with read-only binds, then pivoted into; pivoting uncovers the directory again and the
 * old root is detached as a whole, so nothing of the host stays reachable by path or by "..".
 * Each bind is cloned, restricted while still detached, and only then attached: a writable copy is
 * never visible. Restricting is recursive, since in a user namespace a mount with locked children
 * can only be copied with them.
 * Trust boundary: the paths come from the policy and the keeper. The walk to a mount point refuses
 * symbolic links, as one inside a bind could lead out to the host's root, which is still in place.
 */
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "jail/mount.h"

#define ROOT_OPTIONS "size=4m,nr_inodes=4096,mode=755"
#define ROOT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom",
				      "/dev/random"};

static bool covers(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	return strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A directory to mount over; binds still to be opened by path must not lie below it. */
static const char *find_place(const struct jail_root *root)
{
	static const char *const places[] = {"/tmp", "/mnt", "/srv", "/sys", "/var", "/usr"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct stat st;
		bool usable = stat(places[i], &st) == 0 && S_ISDIR(st.st_mode);

		for (size_t j = 0; usable && j < root->bind_count; j++)
			usable = root->binds[j].source_fd > 0 ||
				 !covers(places[i], root->binds[j].source);
		if (usable)
			return places[i];
	}
	return NULL;
}

/* Copies the first component of *path to `name` and moves *path behind it; false if it is none that
 * may be walked. */
static bool next_component(const char **path, char name[NAME_MAX + 1])
{
	const char *start = *path + strspn(*path, "/");
	size_t len = strcspn(start, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	*path = start + len + strspn(start + len, "/");
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The directory that holds `path`, if it is there already: one call in place of a walk. */
static int open_parent_at_once(int root_fd, const char *path, char name[NAME_MAX + 1])
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
	const char *start = path + strspn(path, "/");
	const char *last = strrchr(start, '/');
	const char *rest = last ? last + 1 : start;
	char dir[PATH_MAX];

	if (!next_component(&rest, name) || *rest != '\0')
		return -1;
	if (!last)
		return fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	if ((size_t)(last - start) >= sizeof(dir))
		return -1;
	memcpy(dir, start, (size_t)(last - start));
	dir[last - start] = '\0';
	return (int)syscall(SYS_openat2, root_fd, dir, &how, sizeof(how));
}

/* The same, making what is missing. */
static int walk_to_parent(int root_fd, const char *path, char name[NAME_MAX + 1])
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	auto_fd dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);

	while (dir >= 0) {
		int next;

		if (!next_component(&path, name)) {
			errno = EINVAL;
			return -1;
		}
		if (*path == '\0')
			return take_fd(dir);
		next = openat(dir, name, flags);
		if (next < 0 && errno == ENOENT && mkdirat(dir, name, 0755) == 0)
			next = openat(dir, name, flags);
		close_fd(&dir);
		dir = next;
	}
	return -1;
}

/* Opens (making it where missing) the directory that holds `path`, link-free below root_fd. `name`
 * receives the last component. Whatever the quick way meets, the walk has the last word. */
static int open_parent(int root_fd, const char *path, char name[NAME_MAX + 1])
{
	int dir = open_parent_at_once(root_fd, path, name);

	return dir >= 0 ? dir : walk_to_parent(root_fd, path, name);
}

static int make_new(int parent, const char *name, bool directory)
{
	auto_fd fd = -1;

	if (directory)
		return mkdirat(parent, name, 0755);
	fd = openat(parent, name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
	return fd < 0 ? -1 : 0;
}

/* Makes sure that `name` is there as a directory, or as anything else that is no link. */
static int make_place(int parent, const char *name, bool directory)
{
	auto_fd fd = -1;
	struct stat st;

	if (make_new(parent, name, directory) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | (directory ? O_DIRECTORY : 0));
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode) != directory) {
		errno = ENOTDIR;
		return -1;
	}
	return 0;
}

/* The source, borrowed from the caller or opened into `opened`; -1 when it is to be skipped or
 * missing. */
static int open_source(const struct jail_bind *bind, int *opened)
{
	if (bind->source_fd > 0)
		return bind->source_fd;
	*opened = open(bind->source, O_PATH | O_CLOEXEC);
	return *opened;
}

static int bind_one(int root_fd, const struct jail_bind *bind, bool device,
		    struct jail_fault *fault)
{
	const char *at = bind->at ? bind->at : bind->source;
	char name[NAME_MAX + 1];
	auto_fd opened = -1;
	auto_fd parent = -1;
	int source = open_source(bind, &opened);
	struct stat st;

	if (source < 0 && bind->optional &&
	    (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (source < 0 || fstat(source, &st) < 0)
		return jail_fail(fault, errno, "open %s", bind->source);
	if (device != S_ISCHR(st.st_mode))
		return jail_fail(fault, EINVAL, "type of %s", bind->source);
	parent = open_parent(root_fd, at, name);
	if (parent < 0 || make_place(parent, name, S_ISDIR(st.st_mode)) < 0)
		return jail_fail(fault, errno, "make %s", at);
	if (mount_bind(source, parent, name, device) < 0)
		return jail_fail(fault, errno, "bind %s read-only", bind->source);
	return 0;
}

static int make_dir(int root_fd, const char *path, struct jail_fault *fault)
{
	char name[NAME_MAX + 1];
	auto_fd parent = open_parent(root_fd, path, name);

	if (parent < 0 || make_place(parent, name, true) < 0)
		return jail_fail(fault, errno, "make %s", path);
	return 0;
}

static int make_file(int root_fd, const struct jail_file *file, struct jail_fault *fault)
{
	char name[NAME_MAX + 1];
	auto_fd parent = open_parent(root_fd, file->path, name);
	size_t len = strlen(file->text);
	auto_fd fd = -1;
	ssize_t written;

	if (parent >= 0)
		fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
			    0444);
	if (fd < 0)
		return jail_fail(fault, errno, "make %s", file->path);
	written = write(fd, file->text, len);
	if (written != (ssize_t)len)
		return jail_fail(fault, written < 0 ? errno : ENOSPC, "write %s", file->path);
	return 0;
}

static int make_link(int root_fd, const struct jail_link *link, struct jail_fault *fault)
{
	char name[NAME_MAX + 1];
	auto_fd parent = open_parent(root_fd, link->path, name);

	/* A bind below the link's place (an interpreter in /tmp, say) has made a directory of it. */
	if (parent < 0 || (symlinkat(link->target, parent, name) < 0 && errno != EEXIST))
		return jail_fail(fault, errno, "link %s", link->path);
	return 0;
}

/* Links come last: nothing is ever made through them. */
static int fill(int root_fd, const struct jail_root *root, struct jail_fault *fault)
{
	for (const char *const *dir = root->dirs; dir && *dir; dir++) {
		if (make_dir(root_fd, *dir, fault) < 0)
			return -1;
	}
	for (size_t i = 0; i < root->bind_count; i++) {
		if (bind_one(root_fd, &root->binds[i], false, fault) < 0)
			return -1;
	}
	for (size_t i = 0; !root->no_devices && i < sizeof(devices) / sizeof(devices[0]); i++) {
		const struct jail_bind bind = {.source = devices[i]};

		if (bind_one(root_fd, &bind, true, fault) < 0)
			return -1;
	}
	for (size_t i = 0; i < root->file_count; i++) {
		if (make_file(root_fd, &root->files[i], fault) < 0)
			return -1;
	}
	for (size_t i = 0; i < root->link_count; i++) {
		if (make_link(root_fd, &root->links[i], fault) < 0)
			return -1;
	}
	return 0;
}

/* The old root ends up stacked on the new one, where the detach of "." finds it. */
static int enter(int root_fd, struct jail_fault *fault)
{
	if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return jail_fail(fault, errno, "pivot into the new root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return jail_fail(fault, errno, "detach the old root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | ROOT_FLAGS, NULL) < 0)
		return jail_fail(fault, errno, "make the new root read-only");
	return 0;
}

int jail_root_enter(const struct jail_root *root, struct jail_fault *fault)
{
	const char *place = find_place(root);
	auto_fd root_fd = -1;
	mode_t mask;
	int rc;

	if (!place)
		return jail_fail(fault, ENOENT, "find a directory to mount over");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return jail_fail(fault, errno, "make every mount private");
	if (mount("tmpfs", place, "tmpfs", ROOT_FLAGS, ROOT_OPTIONS) < 0)
		return jail_fail(fault, errno, "mount the new root over %s", place);
	root_fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return jail_fail(fault, errno, "open the new root");
	mask = umask(022);
	rc = fill(root_fd, root, fault);
	if (rc == 0)
		rc = enter(root_fd, fault);
	(void)umask(mask);
	return rc;
}

/* World-writable, as the caller may change its identity afterwards; the mount namespace is the
 * instance's own. */
int jail_tmpfs_mount(const char *target, uint64_t bytes, uint64_t inodes, struct jail_fault *fault)
{
	char options[96];

	(void)snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=1777",
		       (unsigned long long)bytes, (unsigned long long)inodes);
	if (mount("tmpfs", target, "tmpfs", ROOT_FLAGS, options) < 0)
		return jail_fail(fault, errno, "mount tmpfs on %s", target);
	return 0;
}
