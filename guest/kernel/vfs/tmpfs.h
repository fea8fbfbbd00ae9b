/*
 * Inside of tmpfs: tmpfs.c has inodes and files, tmpfs_dir.c the directories.
 */
#ifndef PSB_KERNEL_TMPFS_H
#define PSB_KERNEL_TMPFS_H

#include "vfs.h"

#define TMPFS_DEVICE 2u

struct tmpfs_entry {
	char *name;
	uint32_t name_len;
	uint32_t hash;
	uint64_t cookie;
	struct tmpfs_inode *inode;
};

struct tmpfs_inode {
	uint64_t number;
	uint32_t mode;
	uint32_t links; /* names; a directory's "." and the ".." of its children are not counted */
	uint32_t references; /* open files, the working directory, mounts */
	uint32_t pins;       /* shared mappings */
	uint64_t accessed_ns;
	uint64_t modified_ns;
	uint64_t changed_ns;
	uint64_t size;               /* of a file's or a link's contents */
	uint64_t capacity;           /* bytes of contents, whole pages; all after size are zero */
	char *contents;              /* from the page source; a link's target from the heap */
	struct tmpfs_inode *parent;  /* of a directory; a mount's root is its own */
	struct tmpfs_entry *entries; /* by cookie */
	uint64_t entry_count;
	uint64_t entry_capacity;
	uint64_t next_cookie;
	uint64_t subdirs;
};

static inline struct tmpfs_inode *tmpfs_of(struct node node)
{
	return node.data;
}

static inline struct node tmpfs_node(struct tmpfs_inode *inode)
{
	return (struct node){&tmpfs_ops, inode};
}

struct tmpfs_inode *tmpfs_new(struct vfs *vfs, uint32_t mode);
void tmpfs_release(struct vfs *vfs, struct tmpfs_inode *inode); /* when nothing needs it */
void tmpfs_touch(struct vfs *vfs, struct tmpfs_inode *inode);   /* modified and changed: now */
int tmpfs_full(struct vfs *vfs); /* notes that a cap was met: -ENOSPC */
int tmpfs_set_target(struct vfs *vfs, struct tmpfs_inode *inode, const char *target);
int tmpfs_truncate(struct vfs *vfs, struct node node, uint64_t size);
int tmpfs_open(struct vfs *vfs, struct node node, struct file *file);

/* tmpfs_dir.c: members of tmpfs_ops */
int tmpfs_lookup(struct vfs *vfs, struct node dir, const char *name, uint64_t len,
		 struct node *found);
int tmpfs_list(struct vfs *vfs, struct node dir, uint64_t cookie, struct dir_entry *entry);
int tmpfs_create(struct vfs *vfs, struct node dir, const char *name, uint64_t len, uint32_t mode,
		 const char *target, struct node *made);
int tmpfs_link(struct vfs *vfs, struct node dir, const char *name, uint64_t len, struct node node);
int tmpfs_unlink(struct vfs *vfs, struct node dir, const char *name, uint64_t len, bool directory);
int tmpfs_rename(struct vfs *vfs, struct node from_dir, const char *from, uint64_t from_len,
		 struct node to_dir, const char *to, uint64_t to_len, bool replace);

#endif
