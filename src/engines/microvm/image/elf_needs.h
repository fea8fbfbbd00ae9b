/* What a shared object asks its loader for. */
#ifndef PSB_IMAGE_ELF_NEEDS_H
#define PSB_IMAGE_ELF_NEEDS_H

#include <stddef.h>

/* Calls `need` for each DT_NEEDED name, with the object's run path ("" if none). Files that are no
 * ELF object are passed over. */
typedef int (*elf_need_fn)(void *context, const char *name, const char *run_path);
int elf_needs(const char *path, elf_need_fn need, void *context);

#endif
