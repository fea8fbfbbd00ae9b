/*
 * Theory of operation: a loader maps a library's segments at fixed distances, so where its first
 * page lies decides where all of them do, and the page tables of every machine can have them
 * already. The pages of read-only segments are the file's own pages in the image, those of writable
 * segments are memory. Left to be copied as before: what is not aligned to pages, has segments that
 * share one, or is written to where it is code (DT_TEXTREL).
 * Trust boundary: a damaged file of a package must neither bring the builder down nor get pages of
 * another file: every number is checked against the file's size and the window's.
 */
#include "libraries.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../../../guest/kernel/abi.h"
#include "core/error.h"

#define MAX_HEADERS 64u
#define MAX_LOADS 16u
#define MAX_ALIGN (UINT64_C(1) << 21)
#define PAGE_MASK ((uint64_t)GUEST_PAGE_BYTES - 1)
#define ADDRESS_MAX GUEST_LIBRARY_MAX_BYTES

struct object {
	const uint8_t *bytes;
	uint64_t size;
	uint64_t offset; /* in the image */
	Elf64_Phdr loads[MAX_LOADS];
	uint32_t load_count;
	/* The outcome, from the library's first page on; sources of writable parts from 0 on. */
	struct image_part parts[MAX_LOADS];
	uint32_t part_count;
	uint64_t align;
	uint64_t span;
	uint64_t ram_bytes;
};

static uint64_t page_down(uint64_t value)
{
	return value & ~PAGE_MASK;
}

static uint64_t page_up(uint64_t value)
{
	return (value + PAGE_MASK) & ~PAGE_MASK;
}

static const uint8_t *piece(const struct object *object, uint64_t offset, uint64_t bytes)
{
	if (offset > object->size || bytes > object->size - offset)
		return NULL;
	return object->bytes + offset;
}

/* Every number of it small enough that no sum of two can wrap. */
static bool load_is_fine(const struct object *object, const Elf64_Phdr *load)
{
	return load->p_vaddr < ADDRESS_MAX && load->p_memsz < ADDRESS_MAX && load->p_memsz > 0 &&
	       load->p_filesz <= load->p_memsz && load->p_align <= MAX_ALIGN &&
	       (load->p_align & (load->p_align - 1)) == 0 &&
	       ((load->p_vaddr ^ load->p_offset) & PAGE_MASK) == 0 &&
	       (load->p_flags & (PF_W | PF_X)) != (PF_W | PF_X) &&
	       ((load->p_flags & PF_W) || load->p_filesz == load->p_memsz) &&
	       piece(object, load->p_offset, load->p_filesz) != NULL;
}

/* Code that is written to while it is linked, and programs, which nobody loads. */
static bool dynamic_is_fine(const struct object *object, const Elf64_Phdr *segment)
{
	const uint8_t *at = piece(object, segment->p_offset, segment->p_filesz);

	for (uint64_t i = 0; at && i < segment->p_filesz / sizeof(Elf64_Dyn); i++) {
		Elf64_Dyn entry;

		memcpy(&entry, at + i * sizeof(entry), sizeof(entry));
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_TEXTREL ||
		    (entry.d_tag == DT_FLAGS && (entry.d_un.d_val & DF_TEXTREL)) ||
		    (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE)))
			return false;
	}
	return at != NULL;
}

static bool read_headers(struct object *object)
{
	bool dynamic = false;
	Elf64_Ehdr head;

	if (!piece(object, 0, sizeof(head)))
		return false;
	memcpy(&head, object->bytes, sizeof(head));
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_machine != EM_X86_64 || head.e_type != ET_DYN ||
	    head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phnum > MAX_HEADERS ||
	    !piece(object, head.e_phoff, head.e_phnum * sizeof(Elf64_Phdr)))
		return false;
	for (uint32_t i = 0; i < head.e_phnum; i++) {
		Elf64_Phdr segment;

		memcpy(&segment, object->bytes + head.e_phoff + i * sizeof(segment),
		       sizeof(segment));
		if (segment.p_type == PT_DYNAMIC && !dynamic_is_fine(object, &segment))
			return false;
		dynamic |= segment.p_type == PT_DYNAMIC;
		if (segment.p_type != PT_LOAD)
			continue;
		if (object->load_count == MAX_LOADS || !load_is_fine(object, &segment))
			return false;
		object->loads[object->load_count++] = segment;
		if (segment.p_align > object->align)
			object->align = segment.p_align;
	}
	return dynamic && object->load_count > 0;
}

/* False: its pages begin before the last one's end, or are not all the file's. */
static bool add_load(struct object *object, const Elf64_Phdr *load)
{
	struct image_part *part = &object->parts[object->part_count++];
	uint64_t start = page_down(load->p_vaddr);
	uint64_t end = page_up(load->p_vaddr + load->p_memsz);

	*part = (struct image_part){.start = start, .bytes = end - start};
	if (load->p_flags & PF_W) {
		part->flags = IMAGE_PART_WRITE;
		part->source = object->ram_bytes;
		object->ram_bytes += part->bytes;
	} else {
		part->flags = load->p_flags & PF_X ? IMAGE_PART_EXEC : 0;
		part->source = object->offset + page_down(load->p_offset);
	}
	if (start < object->span)
		return false;
	object->span = end;
	return true;
}

/* A loader's first mapping begins with the file's first page, wherever there is room. */
static bool plan(struct object *object)
{
	if (!read_headers(object) || page_down(object->loads[0].p_vaddr) != 0 ||
	    page_down(object->loads[0].p_offset) != 0 || (object->loads[0].p_flags & PF_W))
		return false;
	for (uint32_t i = 0; i < object->load_count; i++)
		if (!add_load(object, &object->loads[i]))
			return false;
	return true;
}

/* What a loader asks for first: so much that a part of it is aligned. */
static uint64_t map_bytes(const struct object *object)
{
	if (object->align <= GUEST_PAGE_BYTES)
		return object->span;
	return object->align + (object->span > object->align ? object->span : object->align);
}

static uint64_t aligned_place(const struct libraries *libraries, const struct object *object)
{
	return (libraries->bytes + object->align - 1) & ~(object->align - 1);
}

static bool has_room(const struct libraries *libraries, const struct object *object, uint64_t start)
{
	return start <= GUEST_LIBRARY_MAX_BYTES &&
	       map_bytes(object) <= GUEST_LIBRARY_MAX_BYTES - start &&
	       object->ram_bytes <= GUEST_LIBRARY_RAM_MAX_BYTES - libraries->ram_bytes;
}

static int grow(void **array, uint32_t *room, uint32_t wanted, size_t each, struct psb_error *err)
{
	void *grown;

	if (wanted <= *room)
		return 0;
	grown = reallocarray(*array, 2 * (size_t)wanted, each);
	if (!grown)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	*array = grown;
	*room = 2 * wanted;
	return 0;
}

static int make_room(struct libraries *libraries, uint32_t parts, struct psb_error *err)
{
	void *library_array = libraries->libraries;
	void *part_array = libraries->parts;
	int rc = grow(&library_array, &libraries->library_room, libraries->library_count + 1,
		      sizeof(*libraries->libraries), err);

	libraries->libraries = library_array;
	if (rc == 0)
		rc = grow(&part_array, &libraries->part_room, libraries->part_count + parts,
			  sizeof(*libraries->parts), err);
	libraries->parts = part_array;
	return rc;
}

/* A page between two libraries stays empty: running over an end is a fault. */
static void place(struct libraries *libraries, uint32_t node, const struct object *object,
		  uint64_t start)
{
	libraries->libraries[libraries->library_count++] =
		(struct image_library){.start = start,
				       .bytes = object->span,
				       .node = node,
				       .align = (uint32_t)object->align};
	for (uint32_t i = 0; i < object->part_count; i++) {
		struct image_part part = object->parts[i];

		part.start += start;
		if (part.flags & IMAGE_PART_WRITE)
			part.source += libraries->ram_bytes;
		libraries->parts[libraries->part_count++] = part;
	}
	libraries->ram_bytes += object->ram_bytes;
	libraries->bytes = start + map_bytes(object) + GUEST_PAGE_BYTES;
	if (libraries->bytes > GUEST_LIBRARY_MAX_BYTES)
		libraries->bytes = GUEST_LIBRARY_MAX_BYTES;
}

int libraries_add(struct libraries *libraries, uint32_t node, const uint8_t *file, uint64_t bytes,
		  uint64_t offset, struct psb_error *err)
{
	struct object object = {
		.bytes = file, .size = bytes, .offset = offset, .align = GUEST_PAGE_BYTES};
	uint64_t start;

	if (!plan(&object))
		return 0;
	start = aligned_place(libraries, &object);
	if (!has_room(libraries, &object, start))
		return 0;
	if (make_room(libraries, object.part_count, err) < 0)
		return -1;
	place(libraries, node, &object, start);
	return 0;
}

void libraries_close(struct libraries *libraries)
{
	free(libraries->libraries);
	free(libraries->parts);
	*libraries = (struct libraries){0};
}
