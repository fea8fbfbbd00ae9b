/*
 * Theory of operation: the same view of the host as the native engine's cage gives
 * (src/keeper/root_fs.c): the interpreter with its library and packages, fonts, time zones, and
 * stand-ins for files of /etc. Of the host's shared libraries only those are taken that something
 * in the image needs, found as the loader would find them, and those that come with them.
 * Trust boundary: as tree.c.
 */
#include "contents.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_needs.h"

struct search {
	struct tree *tree;
	const char *origin; /* directory of the object that asks */
	struct psb_error *err;
};

static const char *const library_dirs[] = {"/lib/x86_64-linux-gnu",
					   "/usr/lib/x86_64-linux-gnu",
					   "/usr/local/lib",
					   "/lib64",
					   "/usr/lib64",
					   "/usr/lib"};

/* Loaded by name at run time, by the C library, by threads or by ctypes. */
static const char *const always[] = {"libc.so.6",    "libm.so.6",      "libgcc_s.so.1",
				     "libdl.so.2",   "librt.so.1",     "libpthread.so.0",
				     "libutil.so.1", "libstdc++.so.6", "libnss_files.so.2"};

static int try_dir(const struct search *search, const char *dir, size_t dir_len, const char *name)
{
	char path[PATH_MAX + NAME_MAX];

	if (dir_len + strlen(name) + 2 > PATH_MAX)
		return 0;
	(void)snprintf(path, sizeof(path), "%.*s/%.255s", (int)dir_len, dir, name);
	if (access(path, R_OK) < 0)
		return 0;
	return tree_add_chain(search->tree, path, search->err) < 0 ? -1 : 1;
}

/* One element of a run path: $ORIGIN is the object's directory. */
static int try_element(const struct search *search, const char *element, size_t len,
		       const char *name)
{
	static const char *const spellings[] = {"$ORIGIN", "${ORIGIN}"};
	char dir[PATH_MAX];

	for (size_t i = 0; i < 2; i++) {
		size_t skip = strlen(spellings[i]);

		if (len < skip || strncmp(element, spellings[i], skip) != 0)
			continue;
		if (strlen(search->origin) + len >= sizeof(dir))
			return 0;
		(void)snprintf(dir, sizeof(dir), "%s%.*s", search->origin, (int)(len - skip),
			       element + skip);
		return try_dir(search, dir, strlen(dir), name);
	}
	return try_dir(search, element, len, name);
}

static int on_need(void *context, const char *name, const char *run_path)
{
	const struct search *search = context;
	int rc = 0;

	if (strchr(name, '/'))
		return 0;
	while (rc == 0 && *run_path) {
		size_t len = strcspn(run_path, ":");

		if (len > 0)
			rc = try_element(search, run_path, len, name);
		run_path += len + (run_path[len] == ':');
	}
	for (size_t i = 0; rc == 0 && i < sizeof(library_dirs) / sizeof(library_dirs[0]); i++)
		rc = try_dir(search, library_dirs[i], strlen(library_dirs[i]), name);
	return rc < 0 ? -1 : 0;
}

static bool may_be_object(const struct tree_node *node)
{
	return S_ISREG(node->mode) && node->source &&
	       (strstr(node->name, ".so") || (node->mode & 0111) != 0);
}

/* Nodes that are added on the way are looked at in their turn. */
static int add_libraries(struct tree *tree, struct psb_error *err)
{
	struct search search = {tree, "", err};

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (on_need(&search, always[i], "") < 0)
			return -1;
	for (uint32_t i = 1; i < tree->count; i++) {
		char path[PATH_MAX];
		char *slash;

		if (!may_be_object(&tree->nodes[i]))
			continue;
		(void)snprintf(path, sizeof(path), "%s", tree->nodes[i].source);
		slash = strrchr(path, '/');
		if (!slash)
			continue;
		*slash = '\0';
		search.origin = path;
		if (elf_needs(tree->nodes[i].source, on_need, &search) < 0)
			return -1;
	}
	return 0;
}

static int add_below(struct tree *tree, const char *prefix, const char *rest, const char *version,
		     struct psb_error *err)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.512s%s%.16s", prefix, rest, version);
	return tree_add(tree, path, err);
}

static int add_interpreter(struct tree *tree, const struct vmm_config *config,
			   struct psb_error *err)
{
	const char *prefix = config->python_prefix;
	int rc = tree_add_chain(tree, config->python, err);

	if (rc == 0 && strcmp(prefix, "/usr") == 0) {
		rc = add_below(tree, prefix, "/lib/python", config->python_version, err);
		if (rc == 0)
			rc = tree_add(tree, "/usr/lib/python3", err);
		if (rc == 0)
			rc = add_below(tree, "/usr/local/lib/python", "", config->python_version,
				       err);
	} else if (rc == 0) {
		rc = add_below(tree, prefix, "/lib", "", err);
		if (rc == 0)
			rc = add_below(tree, prefix, "/share", "", err);
	}
	if (rc == 0 && config->venv[0])
		rc = tree_add(tree, config->venv, err);
	if (rc == 0 && config->venv[0]) {
		char path[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%.512s/bin/python3", config->venv);
		rc = tree_add_chain(tree, path, err);
	}
	return rc;
}

/* Packages keep parts of theirs elsewhere, with links to them: sitecustomize.py in /etc, fonts'
 * settings and scripts in /usr/share. Only the system's own files that anybody may read are taken. */
static bool is_system_file(const char *path)
{
	struct stat st;

	return (strncmp(path, "/usr/", 5) == 0 || strncmp(path, "/etc/python", 11) == 0 ||
		strncmp(path, "/etc/fonts/", 11) == 0) &&
	       stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH);
}

/* Nodes that are added on the way are looked at in their turn. */
static int add_link_targets(struct tree *tree, struct psb_error *err)
{
	for (uint32_t i = 1; i < tree->count; i++) {
		char path[PATH_MAX];
		char real[PATH_MAX];
		struct stat st;

		if (!S_ISLNK(tree->nodes[i].mode) || tree_path(tree, i, path, sizeof(path)) < 0 ||
		    lstat(path, &st) < 0 || !S_ISLNK(st.st_mode) || !realpath(path, real) ||
		    !is_system_file(real))
			continue;
		if (tree_add_chain(tree, path, err) < 0)
			return -1;
	}
	return 0;
}

/* What sysconfig reads of the headers. */
static int add_headers(struct tree *tree, const struct vmm_config *config, struct psb_error *err)
{
	static const char *const dirs[] = {"/include/python", "/include/x86_64-linux-gnu/python"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%.512s%s%.16s/pyconfig.h",
			       config->python_prefix, dirs[i], config->python_version);
		if (tree_add(tree, path, err) < 0)
			return -1;
	}
	return 0;
}

static int add_data(struct tree *tree, struct psb_error *err)
{
	static const char *const paths[] = {
		"/usr/share/zoneinfo", "/usr/share/fonts",       "/usr/share/matplotlib",
		"/etc/fonts",          "/etc/ld.so.cache",       "/etc/matplotlibrc",
		"/etc/mime.types",     "/usr/lib/locale/C.utf8",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (tree_add(tree, paths[i], err) < 0)
			return -1;
	if (tree_add_chain(tree, "/etc/localtime", err) < 0)
		return -1;
	return tree_add_chain(tree, "/lib64/ld-linux-x86-64.so.2", err);
}

static int add_stand_ins(struct tree *tree, struct psb_error *err)
{
	static const char *const texts[][2] = {
		{"/etc/passwd", "root:x:0:0::/:/usr/sbin/nologin\nguest:x:1000:1000::/sandbox/"
				"workspace:/usr/sbin/nologin\n"},
		{"/etc/group", "root:x:0:\nguest:x:1000:\n"},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
		{"/etc/hosts", "127.0.0.1 localhost\n"},
		{"/etc/os-release", "ID=pysandbox\nNAME=pysandbox\n"},
	};
	static const char *const links[][2] = {
		{"/lib", "usr/lib"}, {"/lib64", "usr/lib64"}, {"/var/tmp", "../tmp"}};
	static const char *const dirs[] = {"/sandbox", "/tmp", "/dev", "/proc", "/sys"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (tree_add_text(tree, texts[i][0], texts[i][1], err) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (tree_add_link(tree, links[i][0], links[i][1], err) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (tree_add_directory(tree, dirs[i], err) < 0)
			return -1;
	return 0;
}

int contents_gather(struct tree *tree, const struct vmm_config *config, struct psb_error *err)
{
	char parts[PATH_MAX];
	int rc = add_stand_ins(tree, err);

	(void)snprintf(parts, sizeof(parts), "%s/psb", config->libexec);
	if (rc == 0)
		rc = tree_add_at(tree, parts, "/psb", err);
	if (rc == 0)
		rc = add_interpreter(tree, config, err);
	if (rc == 0)
		rc = add_headers(tree, config, err);
	if (rc == 0)
		rc = add_data(tree, err);
	if (rc == 0)
		rc = add_link_targets(tree, err);
	return rc < 0 ? rc : add_libraries(tree, err);
}
