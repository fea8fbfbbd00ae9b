/*
 * Finds the directory of the keeper. The environment and argv are not asked: a program started
 * with a hostile environment must not run a foreign keeper. In order: the caller's wish; `libexec`
 * beside or one or two levels above the object this code is in (build tree), if a keeper is in
 * there; the installed place.
 */
#include "core/libexec.h"

#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

#define KEEPER_NAME "pysandbox-keeper"

#ifndef PSB_LIBEXECDIR
#define PSB_LIBEXECDIR "/usr/local/libexec/pysandbox"
#endif

static char *with_keeper(const char *dir, size_t dir_len, const char *below)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*s%s/libexec/" KEEPER_NAME, (int)dir_len, dir,
			 below);

	if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) != 0)
		return NULL;
	path[(size_t)n - strlen("/" KEEPER_NAME)] = '\0';
	return realpath(path, NULL);
}

/* Which loaded object has the function libexec_find()? Its name is empty for the program. */
static int find_object(struct dl_phdr_info *info, size_t size, void *context)
{
	uintptr_t address = (uintptr_t)libexec_find;
	const char **name = context;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && address >= start &&
		    address - start < segment->p_memsz) {
			*name = info->dlpi_name;
			return 1;
		}
	}
	return 0;
}

/* The path of the library or the executable that contains this code. */
static char *own_path(void)
{
	const char *name = NULL;

	(void)dl_iterate_phdr(find_object, &name);
	return realpath(name && *name ? name : "/proc/self/exe", NULL);
}

char *libexec_find(const char *wished)
{
	static const char *const below[] = {"", "/..", "/../.."};
	auto_free char *object = NULL;
	const char *slash;

	if (wished && *wished) {
		char *real = realpath(wished, NULL);

		return real ? real : strdup(wished);
	}
	object = own_path();
	slash = object ? strrchr(object, '/') : NULL;
	for (size_t i = 0; slash && i < sizeof(below) / sizeof(below[0]); i++) {
		char *found = with_keeper(object, (size_t)(slash - object), below[i]);

		if (found)
			return found;
	}
	return strdup(PSB_LIBEXECDIR);
}
