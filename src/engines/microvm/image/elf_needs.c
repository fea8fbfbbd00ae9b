/*
 * Theory of operation: the file is mapped; its dynamic section is found through the program
 * headers, strings through DT_STRTAB, translated by the load segments.
 * Trust boundary: a damaged file of a package must not bring the builder down: every offset is
 * checked against the file's size.
 */
#include "elf_needs.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

struct object {
	const uint8_t *bytes;
	size_t size;
	const Elf64_Phdr *segments;
	size_t segment_count;
};

static const void *piece(const struct object *object, uint64_t offset, uint64_t bytes)
{
	if (offset > object->size || bytes > object->size - offset)
		return NULL;
	return object->bytes + offset;
}

static bool to_offset(const struct object *object, uint64_t address, uint64_t *offset)
{
	for (size_t i = 0; i < object->segment_count; i++) {
		const Elf64_Phdr *segment = &object->segments[i];

		if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
		    address - segment->p_vaddr < segment->p_filesz) {
			*offset = segment->p_offset + (address - segment->p_vaddr);
			return true;
		}
	}
	return false;
}

static const Elf64_Dyn *find_dynamic(const struct object *object, size_t *count)
{
	for (size_t i = 0; i < object->segment_count; i++) {
		const Elf64_Phdr *segment = &object->segments[i];

		if (segment->p_type != PT_DYNAMIC || segment->p_offset % 8)
			continue;
		*count = segment->p_filesz / sizeof(Elf64_Dyn);
		return piece(object, segment->p_offset, segment->p_filesz);
	}
	return NULL;
}

static uint64_t find_tag(const Elf64_Dyn *dynamic, size_t count, int64_t tag)
{
	for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++)
		if (dynamic[i].d_tag == tag)
			return dynamic[i].d_un.d_val;
	return UINT64_MAX;
}

/* NULL unless the string ends within the table and the file. */
static const char *string_at(const struct object *object, uint64_t table, uint64_t bytes,
			     uint64_t offset)
{
	const char *start;

	if (offset >= bytes || !piece(object, table, bytes))
		return NULL;
	start = piece(object, table + offset, bytes - offset);
	return start && memchr(start, '\0', bytes - offset) ? start : NULL;
}

static int walk_dynamic(const struct object *object, elf_need_fn need, void *context)
{
	size_t count = 0;
	const Elf64_Dyn *dynamic = find_dynamic(object, &count);
	uint64_t bytes;
	uint64_t table;
	uint64_t run_at;
	const char *run_path = NULL;
	int rc = 0;

	if (!dynamic)
		return 0;
	bytes = find_tag(dynamic, count, DT_STRSZ);
	if (!to_offset(object, find_tag(dynamic, count, DT_STRTAB), &table))
		return 0;
	run_at = find_tag(dynamic, count, DT_RUNPATH);
	if (run_at == UINT64_MAX)
		run_at = find_tag(dynamic, count, DT_RPATH);
	if (run_at != UINT64_MAX)
		run_path = string_at(object, table, bytes, run_at);
	for (size_t i = 0; rc == 0 && i < count && dynamic[i].d_tag != DT_NULL; i++) {
		const char *name;

		if (dynamic[i].d_tag != DT_NEEDED)
			continue;
		name = string_at(object, table, bytes, dynamic[i].d_un.d_val);
		if (name)
			rc = need(context, name, run_path ? run_path : "");
	}
	return rc;
}

static int walk_object(struct object *object, elf_need_fn need, void *context)
{
	const Elf64_Ehdr *head = piece(object, 0, sizeof(*head));

	if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_machine != EM_X86_64 ||
	    head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phoff % 8)
		return 0;
	object->segment_count = head->e_phnum;
	object->segments = piece(object, head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr));
	return object->segments ? walk_dynamic(object, need, context) : 0;
}

int elf_needs(const char *path, elf_need_fn need, void *context)
{
	auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	struct object object = {0};
	struct stat st;
	void *map;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 64)
		return 0;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return 0;
	object.bytes = map;
	object.size = (size_t)st.st_size;
	rc = walk_object(&object, need, context);
	(void)munmap(map, (size_t)st.st_size);
	return rc;
}
