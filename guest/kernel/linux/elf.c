/*
 * Puts a program and its interpreter into memory.
 *
 * Theory of operation: what Linux's execve does for an ELF file: reserve the span of its segments,
 * copy each, zero what the file does not give. A program of a fixed address gets it, anything else
 * goes where there is room.
 * Trust boundary: the file comes from the image, but every number in it is checked: sums without
 * overflow, segments within the file and within the span, which is within the address space.
 */
#include "kernel.h"

#include <linux/elf.h>

#define MAX_HEADERS 32u
#define PATH_BYTES 256u

struct object {
	struct vfs *vfs;
	struct node node;
	const uint8_t *data;
	uint64_t size;
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_HEADERS];
	uint64_t bias; /* added to the file's addresses */
};

static int open_object(struct kernel *kernel, const char *path, struct object *object)
{
	struct attributes attributes;
	struct walk walk;
	int error = path_walk(&kernel->vfs, kernel->vfs.root, path, 0, &walk);

	if (error)
		return error;
	object->data = image_data(&kernel->vfs, walk.node);
	if (!object->data)
		return -EACCES;
	vfs_attributes(&kernel->vfs, walk.node, &attributes);
	object->size = attributes.size;
	return 0;
}

static bool within(uint64_t offset, uint64_t bytes, uint64_t size)
{
	return offset <= size && bytes <= size - offset;
}

static int read_headers(struct object *object)
{
	const Elf64_Ehdr *header = &object->header;
	uint64_t bytes;

	if (object->size < sizeof(*header))
		return -ENOEXEC;
	memcpy(&object->header, object->data, sizeof(*header));
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
	    (header->e_type != ET_EXEC && header->e_type != ET_DYN) ||
	    header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > MAX_HEADERS)
		return -ENOEXEC;
	bytes = header->e_phnum * sizeof(Elf64_Phdr);
	if (!within(header->e_phoff, bytes, object->size))
		return -ENOEXEC;
	memcpy(object->segments, object->data + header->e_phoff, bytes);
	return 0;
}

/* From the first to behind the last loadable segment, in the file's addresses. */
static int span_of(const struct object *object, struct extent *span)
{
	*span = (struct extent){UINT64_MAX, 0};
	for (unsigned i = 0; i < object->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &object->segments[i];
		uint64_t end;

		if (segment->p_type != PT_LOAD)
			continue;
		if (segment->p_filesz > segment->p_memsz ||
		    __builtin_add_overflow(segment->p_vaddr, segment->p_memsz, &end) ||
		    end > (uint64_t)INT64_MAX - PAGE_BYTES ||
		    !within(segment->p_offset, segment->p_filesz, object->size))
			return -ENOEXEC;
		span->start = min_u64(span->start, page_down(segment->p_vaddr));
		span->end = max_u64(span->end, page_up(end));
	}
	return span->start < span->end ? 0 : -ENOEXEC;
}

static uint32_t prot_of(const Elf64_Phdr *segment)
{
	return (segment->p_flags & PF_R ? LX_PROT_READ : 0u) |
	       (segment->p_flags & PF_W ? LX_PROT_WRITE : 0u) |
	       (segment->p_flags & PF_X ? LX_PROT_EXEC : 0u);
}

/* All of the span is mapped writable first; the protections follow. */
static int fill(struct kernel *kernel, const struct object *object)
{
	for (unsigned i = 0; i < object->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &object->segments[i];

		if (segment->p_type == PT_LOAD)
			memcpy(pointer_of(segment->p_vaddr + object->bias),
			       object->data + segment->p_offset, segment->p_filesz);
	}
	for (unsigned i = 0; i < object->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &object->segments[i];
		uint64_t start = page_down(segment->p_vaddr + object->bias);
		uint64_t end = page_up(segment->p_vaddr + object->bias + segment->p_memsz);
		int error = segment->p_type == PT_LOAD && end > start
				    ? mm_protect(&kernel->mm, start, end - start, prot_of(segment))
				    : 0;

		if (error)
			return error;
	}
	return 0;
}

static int load_object(struct kernel *kernel, struct object *object, struct extent *placed)
{
	bool fixed = object->header.e_type == ET_EXEC;
	uint32_t flags =
		LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | (fixed ? (uint32_t)LX_MAP_FIXED_NOREPLACE : 0u);
	struct extent span;
	int64_t at;
	int error = span_of(object, &span);

	if (error)
		return error;
	at = mm_map(&kernel->mm, fixed ? span.start : 0, span.end - span.start,
		    LX_PROT_READ | LX_PROT_WRITE, flags);
	if (at < 0)
		return (int)at;
	object->bias = (uint64_t)at - span.start;
	*placed = (struct extent){(uint64_t)at, span.end + object->bias};
	return fill(kernel, object);
}

/* Where the program headers lie in memory; 0: in no segment. */
static uint64_t headers_in_memory(const struct object *object)
{
	uint64_t at = object->header.e_phoff;

	for (unsigned i = 0; i < object->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &object->segments[i];

		if (segment->p_type == PT_LOAD && at >= segment->p_offset &&
		    at - segment->p_offset < segment->p_filesz)
			return segment->p_vaddr + object->bias + (at - segment->p_offset);
	}
	return 0;
}

static int interpreter_of(const struct object *object, char path[PATH_BYTES])
{
	path[0] = 0;
	for (unsigned i = 0; i < object->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &object->segments[i];

		if (segment->p_type != PT_INTERP)
			continue;
		if (segment->p_filesz == 0 || segment->p_filesz > PATH_BYTES ||
		    !within(segment->p_offset, segment->p_filesz, object->size))
			return -ENOEXEC;
		memcpy(path, object->data + segment->p_offset, segment->p_filesz);
		path[segment->p_filesz - 1] = 0;
	}
	return 0;
}

static int load_file(struct kernel *kernel, const char *path, struct object *object,
		     struct extent *placed)
{
	int error = open_object(kernel, path, object);

	if (!error)
		error = read_headers(object);
	return error ? error : load_object(kernel, object, placed);
}

/* All that lies below the first segment that may be written. */
static uint64_t text_end_of(const struct object *object, uint64_t end)
{
	for (unsigned i = 0; i < object->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &object->segments[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W))
			end = min_u64(end, page_down(segment->p_vaddr + object->bias));
	}
	return end;
}

int elf_load(struct kernel *kernel, const char *path, struct program *program)
{
	struct object object;
	struct extent placed;
	char interpreter[PATH_BYTES];
	int error = load_file(kernel, path, &object, &placed);

	if (!error)
		error = interpreter_of(&object, interpreter);
	if (error)
		return error;
	*program = (struct program){
		.entry = object.header.e_entry + object.bias,
		.start = object.header.e_entry + object.bias,
		.headers = headers_in_memory(&object),
		.header_count = object.header.e_phnum,
		.end = placed.end,
		.text_start = placed.start,
		.text_end = text_end_of(&object, placed.end),
	};
	if (!interpreter[0])
		return 0;
	error = load_file(kernel, interpreter, &object, &placed);
	program->start = object.header.e_entry + object.bias;
	program->interp_base = placed.start;
	return error;
}
