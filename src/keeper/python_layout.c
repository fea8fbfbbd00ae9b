/*
 * Theory of operation: a caller names an interpreter (system Python, a venv's, a pyenv's). What the
 * cage must show of the host follows from the file's real path: <prefix>/bin/pythonX.Y and
 * <prefix>/lib/pythonX.Y. A venv is told by pyvenv.cfg one directory above the named file; its
 * packages are shown as well. Nothing is run to find out: an interpreter outside of the cage would
 * execute sitecustomize and .pth files with the host's rights.
 * Trust: the path comes from the embedding application, which is trusted.
 */
#include "keeper/python_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"

static int copy_text(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		return -1;
	memcpy(to, from, len + 1);
	return 0;
}

static int too_long(const char *path, struct psb_error *err)
{
	return psb_fail(err, PSB_E_UNSUPPORTED, 0, "python: path %.200s is longer than 511 bytes",
			path);
}

static int check_elf(const char *python, const char *real, struct psb_error *err)
{
	auto_fd fd = open(real, O_RDONLY | O_CLOEXEC);
	char magic[4] = {0};

	if (fd < 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno, "python: cannot open %.300s", python);
	if (read(fd, magic, sizeof(magic)) != (ssize_t)sizeof(magic) ||
	    memcmp(magic, "\177ELF", sizeof(magic)) != 0)
		return psb_fail(
			err, PSB_E_UNSUPPORTED, 0,
			"python: %.300s is a script, not an interpreter; name the "
			"interpreter itself (python3 -c 'import sys; print(sys.executable)')",
			python);
	return 0;
}

/* "/p/bin/python3.11" -> prefix "/p", version "3.11". */
static int split_prefix(const char *real, struct python_layout *out, struct psb_error *err)
{
	char path[PATH_MAX];
	const char *name;
	char *slash;

	if (copy_text(path, sizeof(path), real) < 0)
		return too_long(real, err);
	slash = strrchr(path, '/');
	name = slash ? slash + 1 : path;
	if (!slash || strncmp(name, "python3.", 8) != 0 ||
	    copy_text(out->version, sizeof(out->version), name + 6) < 0 ||
	    strspn(out->version, "0123456789.") != strlen(out->version))
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"python: %.200s is not named python3.N, so its library cannot be "
				"found; name a CPython 3.9 or newer",
				real);
	*slash = '\0';
	slash = strrchr(path, '/');
	if (!slash || strcmp(slash, "/bin") != 0)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"python: %.200s is not in a bin directory", real);
	*slash = '\0';
	if (copy_text(out->prefix, sizeof(out->prefix), path[0] ? path : "/") < 0)
		return too_long(real, err);
	return 0;
}

static int check_library(const struct python_layout *layout, struct psb_error *err)
{
	char path[1100];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/lib/python%s/os.py", layout->prefix,
		       layout->version);
	if (stat(path, &st) < 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno,
				"python: %.200s has no standard library (%.200s is missing)",
				layout->executable, path);
	return 0;
}

static void find_venv(const char *python, struct python_layout *out)
{
	char path[PATH_MAX];
	char config[PATH_MAX + 16];
	char *slash;

	if (copy_text(path, sizeof(path), python) < 0)
		return;
	for (int up = 0; up < 2; up++) {
		slash = strrchr(path, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
	(void)snprintf(config, sizeof(config), "%s/pyvenv.cfg", path);
	if (access(config, R_OK) == 0)
		(void)copy_text(out->venv, sizeof(out->venv), path);
}

int python_layout_find(const char *python, struct python_layout *out, struct psb_error *err)
{
	struct python_layout layout = {0};
	char real[PATH_MAX];
	int rc;

	if (python[0] != '/')
		return psb_fail(err, PSB_E_NOT_FOUND, 0, "python: %.300s is not an absolute path",
				python);
	if (!realpath(python, real))
		return psb_fail(err, PSB_E_NOT_FOUND, errno,
				"python: %.300s: %s; install python3 or name another with --python",
				python, strerror(errno));
	rc = check_elf(python, real, err);
	if (rc == 0 && copy_text(layout.executable, sizeof(layout.executable), real) < 0)
		rc = too_long(real, err);
	if (rc == 0)
		rc = split_prefix(real, &layout, err);
	if (rc == 0)
		rc = check_library(&layout, err);
	if (rc < 0)
		return rc;
	find_venv(python, &layout);
	*out = layout;
	return 0;
}
