/*
 * From a path to a node: components one by one, symbolic links followed by putting their target in
 * front of what is left, mounts crossed in both directions.
 *
 * Trust boundary: the path is the program's bytes, already copied and NUL-terminated; its length,
 * each name's length and the number of links are bounded here.
 */
#include "vfs.h"

#define MAX_LINKS 40u

struct walker {
	struct vfs *vfs;
	struct walk *walk;
	struct node dir;
	unsigned links;
	char *rest; /* in text */
	char text[VFS_PATH_MAX];
};

static struct node cross_down(struct vfs *vfs, struct node node)
{
	for (uint32_t i = 0; i < vfs->mount_count; i++)
		if (node_same(vfs->mounts[i].at, node))
			return vfs->mounts[i].root;
	return node;
}

struct node path_parent(struct vfs *vfs, struct node dir)
{
	if (node_same(dir, vfs->root))
		return dir;
	for (uint32_t i = 0; i < vfs->mount_count; i++)
		if (node_same(vfs->mounts[i].root, dir))
			return path_parent(vfs, vfs->mounts[i].at);
	return cross_down(vfs, dir.ops->parent(vfs, dir));
}

/* Puts the link's target before the rest of the path. */
static int enter_link(struct walker *walker, struct node link)
{
	uint64_t rest_len = strlen(walker->rest) + 1;
	char target[VFS_PATH_MAX];
	int64_t len;

	if (++walker->links > MAX_LINKS)
		return -ELOOP;
	len = link.ops->target ? link.ops->target(walker->vfs, link, target, sizeof(target))
			       : -EINVAL;
	if (len < 0)
		return (int)len;
	if (len == 0)
		return -ENOENT;
	if ((uint64_t)len + 1 + rest_len > sizeof(walker->text))
		return -ENAMETOOLONG;
	memmove(walker->text + len + 1, walker->rest, rest_len);
	memcpy(walker->text, target, (uint64_t)len);
	walker->text[len] = '/';
	if (rest_len == 1)
		walker->text[len] = 0; /* nothing follows: no slash that was not there */
	walker->rest = walker->text;
	if (target[0] == '/')
		walker->dir = walker->vfs->root;
	return 0;
}

/* Takes the next component; false at the end of the path. */
static bool next_name(struct walker *walker, const char **name, uint64_t *len)
{
	char *at = walker->rest;

	while (*at == '/')
		at++;
	*name = at;
	while (*at && *at != '/')
		at++;
	*len = (uint64_t)(at - *name);
	walker->walk->needs_directory = *at == '/';
	walker->rest = at;
	return *len > 0;
}

static bool is_last(const struct walker *walker)
{
	const char *at = walker->rest;

	while (*at == '/')
		at++;
	return *at == 0;
}

static void found(struct walker *walker, struct node node, const char *name, uint64_t len)
{
	walker->walk->dir = walker->dir;
	walker->walk->node = node;
	walker->walk->name_len = len;
	memcpy(walker->walk->name, name, len);
	walker->walk->name[len] = 0;
}

static int find_name(struct walker *walker, const char *name, uint64_t len, struct node *node)
{
	int error;

	if (len > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	error = walker->dir.ops->lookup(walker->vfs, walker->dir, name, len, node);
	if (!error)
		*node = cross_down(walker->vfs, *node);
	return error;
}

/* One ordinary component. 1: the walk is at its end. */
static int step(struct walker *walker, const char *name, uint64_t len, unsigned flags)
{
	struct node node = {NULL, NULL};
	bool last = is_last(walker);
	int error = find_name(walker, name, len, &node);
	uint32_t type;

	if (error == -ENOENT && last && (flags & WALK_MAY_LACK)) {
		found(walker, (struct node){NULL, NULL}, name, len);
		return 1;
	}
	if (error)
		return error;
	type = node_mode(walker->vfs, node) & LX_S_IFMT;
	if (type == LX_S_IFLNK &&
	    (!last || walker->walk->needs_directory || !(flags & WALK_NOFOLLOW)))
		return enter_link(walker, node);
	if (type != LX_S_IFDIR && (!last || walker->walk->needs_directory))
		return -ENOTDIR;
	if (last) {
		found(walker, node, name, len);
		return 1;
	}
	walker->dir = node;
	return 0;
}

static int walk_all(struct walker *walker, unsigned flags)
{
	const char *name;
	uint64_t len;

	while (next_name(walker, &name, &len)) {
		int done;

		if (len == 1 && name[0] == '.')
			continue;
		if (len == 2 && name[0] == '.' && name[1] == '.') {
			walker->dir = path_parent(walker->vfs, walker->dir);
			continue;
		}
		done = step(walker, name, len, flags);
		if (done != 0)
			return done < 0 ? done : 0;
	}
	found(walker, walker->dir, "", 0);
	walker->walk->needs_directory = true;
	return 0;
}

int path_walk(struct vfs *vfs, struct node start, const char *path, unsigned flags,
	      struct walk *walk)
{
	struct walker walker;
	uint64_t len = strlen(path);

	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(walker.text))
		return -ENAMETOOLONG;
	memcpy(walker.text, path, len + 1);
	walker.vfs = vfs;
	walker.walk = walk;
	walker.links = 0;
	walker.rest = walker.text;
	walker.dir = path[0] == '/' ? vfs->root : start;
	if (!walker.dir.ops->lookup || !node_is_dir(vfs, walker.dir))
		return -ENOTDIR;
	return walk_all(&walker, flags);
}

/* The name under which the parent has this directory. */
static int name_of(struct vfs *vfs, struct node parent, struct node dir, struct dir_entry *entry)
{
	struct node node;
	uint64_t cookie = 0;

	while (parent.ops->list(vfs, parent, cookie, entry) > 0) {
		cookie = entry->cookie;
		if (!parent.ops->lookup(vfs, parent, entry->name, entry->name_len, &node) &&
		    node_same(cross_down(vfs, node), dir))
			return 0;
	}
	return -ENOENT;
}

int64_t path_of(struct vfs *vfs, struct node dir, char *buffer, uint64_t bytes)
{
	char text[VFS_PATH_MAX];
	uint64_t at = sizeof(text) - 1;

	text[at] = 0;
	while (!node_same(dir, vfs->root)) {
		struct node parent = path_parent(vfs, dir);
		struct dir_entry entry;

		if (name_of(vfs, parent, dir, &entry))
			return -ENOENT;
		if (entry.name_len + 1 > at)
			return -ENAMETOOLONG;
		at -= entry.name_len;
		memcpy(text + at, entry.name, entry.name_len);
		text[--at] = '/';
		dir = parent;
	}
	if (at == sizeof(text) - 1)
		text[--at] = '/';
	if (sizeof(text) - at > bytes)
		return -ERANGE;
	memcpy(buffer, text + at, sizeof(text) - at);
	return (int64_t)(sizeof(text) - at);
}
