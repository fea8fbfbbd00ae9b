/*
 * The virtual file system: nodes of several file systems joined into one tree, open files, and what
 * they need from the machine they run in. Freestanding, single-threaded, never blocks: an operation
 * that would have to wait returns -EAGAIN, and notify() tells when to try again.
 *
 * Trust boundary: buffers were checked by the caller (they lie in memory that the program may use);
 * names, offsets, lengths and flags were not. The program can overwrite all of this anyway, as it
 * shares the address space: these checks keep honest programs honest, and the wall is the VMM.
 */
#ifndef PSB_KERNEL_VFS_H
#define PSB_KERNEL_VFS_H

#include "../image_libraries.h"
#include "base.h"
#include "heap.h"
#include "uapi.h"

#define VFS_NAME_MAX 255u
#define VFS_PATH_MAX 4096u
#define VFS_MAX_MOUNTS 8u

struct vfs;
struct file;
struct fs_ops;

/* One file, directory or link of some file system. A value; tmpfs counts those that are kept. */
struct node {
	const struct fs_ops *ops;
	void *data;
};

struct attributes {
	uint64_t device;
	uint64_t inode;
	uint64_t links;
	uint32_t mode;
	uint64_t represented; /* st_rdev */
	uint64_t size;
	uint64_t accessed_ns;
	uint64_t modified_ns;
	uint64_t changed_ns;
};

struct dir_entry {
	const char *name;
	uint64_t name_len;
	uint64_t inode;
	uint8_t type;
	uint64_t cookie; /* where to go on after this one */
};

/* Everything returns 0 or a negative errno unless said otherwise. A missing mutator means EROFS. */
struct fs_ops {
	int (*lookup)(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
		      struct node *found);
	struct node (*parent)(struct vfs *vfs, struct node node); /* of a directory */
	/* 1: entry filled, 0: no more. Cookie 0 is the first. */
	int (*list)(struct vfs *vfs, struct node dir, uint64_t cookie, struct dir_entry *entry);
	void (*attributes)(struct vfs *vfs, struct node node, struct attributes *out);
	int64_t (*target)(struct vfs *vfs, struct node node, char *buffer, uint64_t bytes);
	int (*open)(struct vfs *vfs, struct node node, struct file *file);
	int (*create)(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
		      uint32_t mode, const char *target, struct node *made);
	int (*link)(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
		    struct node node);
	int (*unlink)(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
		      bool directory);
	int (*rename)(struct vfs *vfs, struct node from_dir, const char *from, uint64_t from_len,
		      struct node to_dir, const char *to, uint64_t to_len, bool replace);
	int (*truncate)(struct vfs *vfs, struct node node, uint64_t size);
	int (*set_mode)(struct vfs *vfs, struct node node, uint32_t mode);
	/* A time of UINT64_MAX stays as it is. */
	int (*set_times)(struct vfs *vfs, struct node node, uint64_t accessed_ns,
			 uint64_t modified_ns);
	void (*hold)(struct node node); /* may be NULL, as drop */
	void (*drop)(struct vfs *vfs, struct node node);
};

/* Pages for file contents, from the machine's memory. Grown pages read as zeroes. */
struct page_source {
	/* old_bytes 0: new; new_bytes 0: given back. NULL: none left (or given back). */
	void *(*resize)(void *context, void *old, uint64_t old_bytes, uint64_t new_bytes);
	void *context;
};

struct mount {
	struct node at;
	struct node root;
};

struct tmpfs_inode;

struct tmpfs {
	uint64_t used_bytes;
	uint64_t used_files;
	uint64_t max_bytes;
	uint64_t max_files;
	uint64_t next_inode;
};

struct image_view {
	const uint8_t *bytes;
	uint64_t len;
	const struct image_node *nodes;
	const struct image_entry *entries;
	uint32_t node_count;
	uint32_t entry_count;
	struct image_libraries libraries;
};

enum clock_kind { CLOCK_WALL, CLOCK_STEADY };

/* What the machine gives. */
struct vfs_host {
	uint64_t (*clock_ns)(void *context, enum clock_kind kind);
	void (*random)(void *context, void *buffer, uint64_t bytes);
	/* Something about this object (a file's .object or .poll_key) may have become ready. */
	void (*notify)(void *context, const void *object);
	/* Bytes written to the host; a stream of enum output_stream. */
	int64_t (*output)(void *context, uint32_t stream, const void *data, uint64_t bytes);
	int64_t (*request)(void *context, void *buffer, uint64_t bytes);
	/* Text of /proc/self/NAME: at most bytes, from the start. */
	uint64_t (*describe)(void *context, const char *what, char *buffer, uint64_t bytes);
	/* Only watchers (epoll) refer to this file any more. */
	void (*unwatched)(void *context, struct file *file);
	void *context;
};

struct vfs {
	struct heap *heap;
	struct page_source pages;
	struct vfs_host host;
	struct image_view image;
	struct tmpfs tmpfs;
	struct mount mounts[VFS_MAX_MOUNTS];
	uint32_t mount_count;
	struct node root;
	struct node cwd; /* held */
	uint32_t umask;
	bool disk_limit_hit;
	uint32_t next_serial;
	uint32_t timer_count; /* open timerfds */
};

static inline bool node_same(struct node a, struct node b)
{
	return a.ops == b.ops && a.data == b.data;
}

static inline void node_hold(struct node node)
{
	if (node.ops && node.ops->hold)
		node.ops->hold(node);
}

static inline void node_drop(struct vfs *vfs, struct node node)
{
	if (node.ops && node.ops->drop)
		node.ops->drop(vfs, node);
}

static inline uint64_t vfs_now(struct vfs *vfs)
{
	return vfs->host.clock_ns(vfs->host.context, CLOCK_WALL);
}

static inline void vfs_notify(struct vfs *vfs, const void *object)
{
	vfs->host.notify(vfs->host.context, object);
}

/* -- the file systems -- */
int image_mount(struct vfs *vfs, const void *bytes, uint64_t len); /* becomes the root */
int tmpfs_mount(struct vfs *vfs, const char *path, uint32_t mode);
int synth_mount(struct vfs *vfs); /* /dev and /proc */
/* Mounts a tmpfs, and on top of it each directory that the file system below has there: a virtual
 * environment in /tmp stays visible. */
int tmpfs_mount_over(struct vfs *vfs, const char *path, uint32_t mode);
extern const struct fs_ops image_ops;
extern const struct fs_ops tmpfs_ops;
extern const struct fs_ops synth_ops;

/* tmpfs: a file without a name (O_TMPFILE, memfd). */
int tmpfs_nameless(struct vfs *vfs, uint32_t mode, struct node *made);
/* tmpfs: the address of [offset, offset + len) of a file for a shared mapping; the file is grown to
 * hold it and keeps its place until tmpfs_unpin. NULL: cannot. */
void *tmpfs_pin(struct vfs *vfs, struct node node, uint64_t offset, uint64_t len);
void tmpfs_pin_more(struct node node, uint32_t pins);
void tmpfs_unpin(struct vfs *vfs, struct node node);
/* image: contents of a regular file, NULL for anything else. */
const void *image_data(struct vfs *vfs, struct node node);
/* image: the file's place in the library window, or NULL. */
const struct image_library *image_library_of(struct vfs *vfs, struct node node);

/* -- path walk (path.c) -- */
struct walk {
	struct node dir; /* where the last component is, or would be */
	char name[VFS_NAME_MAX + 1];
	uint64_t name_len;    /* 0: the path is "/" or ends in "." or ".." */
	struct node node;     /* .ops NULL: does not exist */
	bool needs_directory; /* trailing slash */
};

enum walk_flag {
	WALK_NOFOLLOW = 1, /* the last component's link */
	WALK_MAY_LACK = 2, /* a missing last component is fine */
};

int path_walk(struct vfs *vfs, struct node start, const char *path, unsigned flags,
	      struct walk *walk);
/* Path of a directory into buffer with its NUL; its length with the NUL, or a negative errno. */
int64_t path_of(struct vfs *vfs, struct node dir, char *buffer, uint64_t bytes);
/* The node's parent, across mounts. */
struct node path_parent(struct vfs *vfs, struct node dir);

/* -- tree operations: what the system calls do once a path is walked (tree.c) -- */
void vfs_attributes(struct vfs *vfs, struct node node, struct attributes *out);
int vfs_open(struct vfs *vfs, struct node start, const char *path, uint32_t flags, uint32_t mode,
	     struct file **opened);
int vfs_make(struct vfs *vfs, struct node start, const char *path, uint32_t mode,
	     const char *target);
int vfs_unlink(struct vfs *vfs, struct node start, const char *path, bool directory);
int vfs_rename(struct vfs *vfs, struct node from_start, const char *from, struct node to_start,
	       const char *to, bool replace);
int vfs_link(struct vfs *vfs, struct node node, struct node to_start, const char *to);
int vfs_truncate(struct vfs *vfs, struct node node, uint64_t size);

static inline uint32_t node_mode(struct vfs *vfs, struct node node)
{
	struct attributes attributes;

	node.ops->attributes(vfs, node, &attributes);
	return attributes.mode;
}

static inline bool node_is_dir(struct vfs *vfs, struct node node)
{
	return (node_mode(vfs, node) & LX_S_IFMT) == LX_S_IFDIR;
}

#endif
