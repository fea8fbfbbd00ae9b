/*
 * Theory of operation: nodes in one array, children as linked lists, found by a hash of parent and
 * name. A path is added component by component; what is there already stays as it is.
 * Trust boundary: host paths come from the embedding application (which interpreter, which
 * packages); files of the host are read with the caller's rights and only regular files,
 * directories and links are taken.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"

#define BUCKETS (1u << 16)
#define MAX_NODES (1u << 20)
#define MAX_DEPTH 64u
#define MAX_LINKS 16u
#define DIRECTORY_MODE (S_IFDIR | 0755)

static int out_of_memory(struct psb_error *err)
{
	return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
}

static uint32_t bucket_of(uint32_t parent, const char *name, size_t len)
{
	uint32_t hash = 2166136261u ^ parent;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return (hash ^ hash >> 16) % BUCKETS;
}

static int grow(struct tree *tree, struct psb_error *err)
{
	uint32_t room = tree->room ? tree->room * 2 : 4096;
	struct tree_node *nodes;
	uint32_t *chain;

	if (tree->count >= MAX_NODES)
		return psb_fail(
			err, PSB_E_TOO_LARGE, 0,
			"image: more than %u files; name an interpreter with fewer packages",
			MAX_NODES);
	nodes = reallocarray(tree->nodes, room, sizeof(*nodes));
	if (!nodes)
		return out_of_memory(err);
	tree->nodes = nodes;
	chain = reallocarray(tree->chain, room, sizeof(*chain));
	if (!chain)
		return out_of_memory(err);
	tree->chain = chain;
	tree->room = room;
	return 0;
}

static int find(const struct tree *tree, uint32_t parent, const char *name, size_t len,
		uint32_t *out)
{
	uint32_t at = tree->buckets[bucket_of(parent, name, len)];

	for (; at; at = tree->chain[at]) {
		const struct tree_node *node = &tree->nodes[at];

		if (node->parent == parent && strncmp(node->name, name, len) == 0 &&
		    node->name[len] == '\0') {
			*out = at;
			return 0;
		}
	}
	return -1;
}

static int append(struct tree *tree, uint32_t parent, const char *name, size_t len,
		  const struct tree_node *like, uint32_t *out, struct psb_error *err)
{
	uint32_t bucket = bucket_of(parent, name, len);
	struct tree_node *node;

	if (tree->count == tree->room && grow(tree, err) < 0)
		return -1;
	node = &tree->nodes[tree->count];
	*node = *like;
	node->name = strndup(name, len);
	node->source = like->source ? strdup(like->source) : NULL;
	if (!node->name || (like->source && !node->source))
		return out_of_memory(err);
	node->parent = parent;
	if (tree->count > 0) {
		node->next_sibling = tree->nodes[parent].first_child;
		tree->nodes[parent].first_child = tree->count;
		tree->chain[tree->count] = tree->buckets[bucket];
		tree->buckets[bucket] = tree->count;
	}
	*out = tree->count++;
	return 0;
}

int tree_open(struct tree *tree, struct psb_error *err)
{
	const struct tree_node root = {.mode = DIRECTORY_MODE};
	uint32_t index;

	*tree = (struct tree){.buckets = calloc(BUCKETS, sizeof(uint32_t))};
	if (!tree->buckets)
		return out_of_memory(err);
	return append(tree, 0, "", 0, &root, &index, err);
}

void tree_close(struct tree *tree)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		free(tree->nodes[i].name);
		free(tree->nodes[i].source);
	}
	free(tree->nodes);
	free(tree->chain);
	free(tree->buckets);
}

/* Walks to the directory that holds the last component, making what is missing. */
static int walk(struct tree *tree, const char *path, uint32_t *parent, const char **last,
		struct psb_error *err)
{
	const struct tree_node directory = {.mode = DIRECTORY_MODE};

	*parent = 0;
	for (;;) {
		const char *start = path + strspn(path, "/");
		size_t len = strcspn(start, "/");
		const char *rest = start + len + strspn(start + len, "/");
		uint32_t next = 0;

		if (len == 0 || len > NAME_MAX)
			return psb_fail(err, PSB_E_INVALID, 0, "image: bad path %.200s", path);
		if (*rest == '\0') {
			*last = start;
			return 0;
		}
		if (find(tree, *parent, start, len, &next) < 0 &&
		    append(tree, *parent, start, len, &directory, &next, err) < 0)
			return -1;
		if (!S_ISDIR(tree->nodes[next].mode))
			return psb_fail(err, PSB_E_INVALID, 0, "image: %.*s is no directory",
					(int)len, start);
		*parent = next;
		path = rest;
	}
}

static int add_node(struct tree *tree, const char *path, const struct tree_node *like,
		    struct psb_error *err)
{
	const char *name = NULL;
	uint32_t parent;
	uint32_t index;
	int rc = walk(tree, path, &parent, &name, err);

	if (rc < 0 || !name)
		return rc;
	if (find(tree, parent, name, strcspn(name, "/"), &index) == 0)
		return 0;
	return append(tree, parent, name, strcspn(name, "/"), like, &index, err);
}

int tree_add_text(struct tree *tree, const char *path, const char *text, struct psb_error *err)
{
	const struct tree_node node = {.mode = S_IFREG | 0444, .text = text, .size = strlen(text)};

	return add_node(tree, path, &node, err);
}

int tree_add_directory(struct tree *tree, const char *path, struct psb_error *err)
{
	const struct tree_node node = {.mode = DIRECTORY_MODE};

	return add_node(tree, path, &node, err);
}

int tree_add_link(struct tree *tree, const char *path, const char *target, struct psb_error *err)
{
	char copy[PATH_MAX];
	struct tree_node node = {.mode = S_IFLNK | 0777, .source = copy, .size = strlen(target)};

	(void)snprintf(copy, sizeof(copy), "%s", target);
	return add_node(tree, path, &node, err);
}

static int add_host_link(struct tree *tree, const char *path, const char *at, struct psb_error *err)
{
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	if (len < 0)
		return 0;
	target[len] = '\0';
	return tree_add_link(tree, at, target, err);
}

static int add_any(struct tree *tree, const char *path, const char *at, uint32_t depth,
		   struct psb_error *err);

static int add_entries(struct tree *tree, const char *path, const char *at, uint32_t depth,
		       struct psb_error *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return 0;
	while (rc == 0 && (entry = readdir(dir))) {
		char below[PATH_MAX + NAME_MAX];
		char inside[PATH_MAX + NAME_MAX];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strlen(path) + strlen(entry->d_name) + 2 > PATH_MAX ||
		    strlen(at) + strlen(entry->d_name) + 2 > PATH_MAX)
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		(void)snprintf(inside, sizeof(inside), "%s/%s", at, entry->d_name);
		rc = add_any(tree, below, inside, depth + 1, err);
	}
	(void)closedir(dir);
	return rc;
}

/* What the caller may not read is left out: the guest meets a missing file. */
static int add_any(struct tree *tree, const char *path, const char *at, uint32_t depth,
		   struct psb_error *err)
{
	struct tree_node node = {0};
	char copy[PATH_MAX];
	struct stat st;

	if (depth > MAX_DEPTH || lstat(path, &st) < 0)
		return 0;
	node.mtime_s = st.st_mtim.tv_sec;
	node.mode = (uint32_t)((st.st_mode & S_IFMT) | (st.st_mode & 0555));
	if (S_ISLNK(st.st_mode))
		return add_host_link(tree, path, at, err);
	if (S_ISDIR(st.st_mode)) {
		node.mode |= 0555;
		if (add_node(tree, at, &node, err) < 0)
			return -1;
		return add_entries(tree, path, at, depth, err);
	}
	if (!S_ISREG(st.st_mode) || access(path, R_OK) < 0)
		return 0;
	(void)snprintf(copy, sizeof(copy), "%s", path);
	node.source = copy;
	node.size = (uint64_t)st.st_size;
	return add_node(tree, at, &node, err);
}

int tree_add_at(struct tree *tree, const char *path, const char *at, struct psb_error *err)
{
	return add_any(tree, path, at, 0, err);
}

int tree_add(struct tree *tree, const char *path, struct psb_error *err)
{
	return add_any(tree, path, path, 0, err);
}

/* The directory's real path and the name as it is: links in the middle are resolved away. */
static int settle(const char *path, char out[PATH_MAX])
{
	char dir[PATH_MAX];
	char real[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!slash || len >= sizeof(dir))
		return -1;
	memcpy(dir, path, len);
	dir[len] = '\0';
	if (!realpath(len ? dir : "/", real) || strlen(real) + strlen(slash) + 1 > PATH_MAX)
		return -1;
	(void)snprintf(out, PATH_MAX, "%.2000s%.2000s", strcmp(real, "/") == 0 ? "" : real, slash);
	return 0;
}

int tree_add_chain(struct tree *tree, const char *path, struct psb_error *err)
{
	char at[PATH_MAX];
	char target[PATH_MAX];
	char next[PATH_MAX];

	if (settle(path, at) < 0)
		return 0;
	for (uint32_t links = 0; links < MAX_LINKS; links++) {
		ssize_t len = readlink(at, target, sizeof(target) - 1);

		if (tree_add(tree, at, err) < 0)
			return -1;
		if (len < 0)
			return 0;
		target[len] = '\0';
		if (target[0] == '/')
			(void)snprintf(next, sizeof(next), "%s", target);
		else
			(void)snprintf(next, sizeof(next), "%.*s/%.2000s",
				       (int)(strrchr(at, '/') - at), at, target);
		if (settle(next, at) < 0)
			return 0;
	}
	return 0;
}

int tree_path(const struct tree *tree, uint32_t index, char *path, size_t room)
{
	size_t at = room - 1;

	path[at] = '\0';
	for (; index; index = tree->nodes[index].parent) {
		size_t len = strlen(tree->nodes[index].name);

		if (len + 1 > at)
			return -1;
		at -= len;
		memcpy(path + at, tree->nodes[index].name, len);
		path[--at] = '/';
	}
	memmove(path, path + at, room - at);
	return 0;
}
