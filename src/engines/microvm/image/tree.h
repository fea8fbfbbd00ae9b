/* The tree of files that an image shall hold, gathered in memory before anything is written. */
#ifndef PSB_IMAGE_TREE_H
#define PSB_IMAGE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "pysandbox.h"

struct tree_node {
	char *name;   /* owned; "" of the root */
	char *source; /* owned; regular: host path, or NULL if `text` holds it; link: its target */
	const char *text;
	uint32_t mode;
	uint32_t parent;
	uint32_t first_child; /* indices, 0: none (the root is nobody's child) */
	uint32_t next_sibling;
	uint64_t size;
	int64_t mtime_s;
};

struct tree {
	struct tree_node *nodes; /* [0] is the root */
	uint32_t count;
	uint32_t room;
	uint32_t *buckets; /* of (parent, name) */
	uint32_t *chain;
};

int tree_open(struct tree *tree, struct psb_error *err);
void tree_close(struct tree *tree);

/* Copies what is at this host path, directories with all that is in them, to the same path in the
 * image. A missing path is no error. Links are kept as links. */
int tree_add(struct tree *tree, const char *path, struct psb_error *err);
/* ... to another path of the image. */
int tree_add_at(struct tree *tree, const char *path, const char *at, struct psb_error *err);
/* A file by all its names: each link on the way to it, and the directories. */
int tree_add_chain(struct tree *tree, const char *path, struct psb_error *err);
int tree_add_text(struct tree *tree, const char *path, const char *text, struct psb_error *err);
int tree_add_link(struct tree *tree, const char *path, const char *target, struct psb_error *err);
int tree_add_directory(struct tree *tree, const char *path, struct psb_error *err);

/* Absolute path of a node; false if it does not fit. */
int tree_path(const struct tree *tree, uint32_t index, char *path, size_t room);

#endif
