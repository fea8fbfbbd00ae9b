/*
 * Theory of operation: everything but the files' contents is laid out in memory and written at
 * once; then the contents follow, each file on a page of its own, copied by the kernel where it
 * can. A file that shrinks while it is copied is filled with zeroes, one that grows is cut. What is
 * in the image then, and not what was on the host, decides on the table of libraries behind it.
 * Trust boundary: as tree.c; the format's reader is the guest, so no byte may come from anywhere
 * but the tree: all memory is cleared.
 */
#include "write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../../guest/kernel/abi.h"
#include "../../../../guest/kernel/image_format.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "libraries.h"

#define PROGRESS_BYTES (UINT64_C(16) << 20)

struct layout {
	const struct tree *tree;
	struct image_header *header; /* begins `meta` */
	uint8_t *meta;
	uint64_t meta_bytes;
	struct image_node *nodes;
	struct image_entry *entries;
	uint64_t names_used;
};

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + GUEST_PAGE_BYTES - 1) & ~(uint64_t)(GUEST_PAGE_BYTES - 1);
}

static int write_failed(struct psb_error *err)
{
	return psb_fail(err, PSB_E_SYSTEM, errno, "image: write: %s", strerror(errno));
}

static uint64_t names_bytes(const struct tree *tree)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];

		bytes += strlen(node->name) + (S_ISLNK(node->mode) ? strlen(node->source) : 0);
	}
	return bytes;
}

static int lay_out(struct layout *layout, struct psb_error *err)
{
	const struct tree *tree = layout->tree;
	uint64_t nodes_at = GUEST_PAGE_BYTES;
	uint64_t entries_at = nodes_at + tree->count * sizeof(struct image_node);
	uint64_t names_at = entries_at + (tree->count - 1) * sizeof(struct image_entry);
	uint64_t names = names_bytes(tree);

	layout->meta_bytes = page_up(names_at + names);
	layout->meta = calloc(1, layout->meta_bytes);
	if (!layout->meta)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	layout->header = (struct image_header *)(void *)layout->meta;
	layout->nodes = (struct image_node *)(void *)(layout->meta + nodes_at);
	layout->entries = (struct image_entry *)(void *)(layout->meta + entries_at);
	*layout->header = (struct image_header){.magic = IMAGE_MAGIC,
						.version = IMAGE_VERSION,
						.header_bytes = GUEST_PAGE_BYTES,
						.node_count = tree->count,
						.entry_count = tree->count - 1,
						.nodes_offset = nodes_at,
						.entries_offset = entries_at,
						.names_offset = names_at,
						.names_bytes = names,
						.data_offset = layout->meta_bytes};
	return 0;
}

static uint64_t put_name(struct layout *layout, const char *text)
{
	uint64_t at = layout->header->names_offset + layout->names_used;
	size_t len = strlen(text);

	memcpy(layout->meta + at, text, len);
	layout->names_used += len;
	return at;
}

static uint16_t type_of(uint32_t mode)
{
	return S_ISDIR(mode) ? 4 : S_ISLNK(mode) ? 10 : 8; /* DT_DIR, DT_LNK, DT_REG */
}

static int compare_names(const void *a, const void *b, void *context)
{
	const struct tree *tree = context;
	uint32_t left;
	uint32_t right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return strcmp(tree->nodes[left].name, tree->nodes[right].name);
}

/* Children in the order of their names; strcmp on NUL-free names is memcmp, then length. */
static uint32_t sorted_children(const struct tree *tree, uint32_t index, uint32_t *list)
{
	uint32_t count = 0;
	struct tree *borrowed;

	for (uint32_t child = tree->nodes[index].first_child; child;
	     child = tree->nodes[child].next_sibling)
		list[count++] = child;
	memcpy(&borrowed, &tree, sizeof(borrowed));
	qsort_r(list, count, sizeof(*list), compare_names, borrowed);
	return count;
}

static void put_directory(struct layout *layout, uint32_t index, uint32_t *list, uint64_t *next)
{
	const struct tree *tree = layout->tree;
	uint32_t count = sorted_children(tree, index, list);

	layout->nodes[index].size = count;
	layout->nodes[index].offset = *next;
	for (uint32_t i = 0; i < count; i++) {
		const struct tree_node *child = &tree->nodes[list[i]];

		layout->entries[(*next)++] = (struct image_entry){
			.name_offset = put_name(layout, child->name),
			.node = list[i],
			.name_bytes = (uint16_t)strlen(child->name),
			.type = type_of(child->mode),
		};
	}
}

static int check_size(const struct layout *layout, struct psb_error *err)
{
	if (layout->header->total_bytes <= GUEST_IMAGE_MAX_BYTES)
		return 0;
	return psb_fail(err, PSB_E_TOO_LARGE, 0,
			"image: %llu bytes, at most %llu; name an interpreter with fewer packages",
			(unsigned long long)layout->header->total_bytes,
			(unsigned long long)GUEST_IMAGE_MAX_BYTES);
}

static int fill(struct layout *layout, struct psb_error *err)
{
	const struct tree *tree = layout->tree;
	auto_free uint32_t *list = calloc(tree->count, sizeof(*list));
	uint64_t data = layout->meta_bytes;
	uint64_t next_entry = 0;

	if (!list)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		struct image_node *out = &layout->nodes[i];

		*out = (struct image_node){.mode = node->mode,
					   .parent = node->parent,
					   .size = node->size,
					   .mtime_s = node->mtime_s};
		if (S_ISDIR(node->mode)) {
			put_directory(layout, i, list, &next_entry);
		} else if (S_ISLNK(node->mode)) {
			out->offset = put_name(layout, node->source);
		} else {
			out->offset = data;
			data += page_up(node->size);
		}
	}
	layout->header->total_bytes = data;
	return check_size(layout, err);
}

static int write_all(int fd, const void *data, uint64_t bytes, uint64_t at, struct psb_error *err)
{
	const uint8_t *from = data;

	while (bytes > 0) {
		ssize_t n = pwrite(fd, from, bytes, (off_t)at);

		if (n < 0 && errno != EINTR)
			return write_failed(err);
		if (n > 0) {
			from += n;
			at += (uint64_t)n;
			bytes -= (uint64_t)n;
		}
	}
	return 0;
}

static int copy_file(const struct tree_node *node, int fd, uint64_t at, struct psb_error *err)
{
	auto_fd source = open(node->source, O_RDONLY | O_CLOEXEC);
	uint64_t left = node->size;

	if (source < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: %.300s: %s", node->source,
				strerror(errno));
	if (lseek(fd, (off_t)at, SEEK_SET) < 0)
		return write_failed(err);
	while (left > 0) {
		ssize_t n = sendfile(fd, source, NULL, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return psb_fail(err, PSB_E_SYSTEM, errno, "image: copy %.300s: %s",
					node->source, strerror(errno));
		if (n == 0)
			break;
		left -= (uint64_t)n;
	}
	return 0;
}

static int write_files(const struct layout *layout, int fd, image_progress_fn progress,
		       void *context, struct psb_error *err)
{
	uint64_t total = layout->header->total_bytes;
	uint64_t told = 0;

	for (uint32_t i = 0; i < layout->tree->count; i++) {
		const struct tree_node *node = &layout->tree->nodes[i];
		uint64_t at = layout->nodes[i].offset;
		int rc = 0;

		if (!S_ISREG(node->mode))
			continue;
		if (node->text)
			rc = write_all(fd, node->text, node->size, at, err);
		else
			rc = copy_file(node, fd, at, err);
		if (rc < 0)
			return rc;
		if (progress && at - told >= PROGRESS_BYTES) {
			progress(context, at, total);
			told = at;
		}
	}
	return 0;
}

static int find_libraries(const struct layout *layout, int fd, struct libraries *found,
			  struct psb_error *err)
{
	uint64_t bytes = layout->header->total_bytes;
	const uint8_t *image = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	void *mapping;
	int rc = 0;

	if (image == MAP_FAILED)
		return psb_fail(err, PSB_E_MEMORY, errno, "image: cannot map what was written: %s",
				strerror(errno));
	for (uint32_t i = 0; rc == 0 && i < layout->tree->count; i++) {
		const struct image_node *node = &layout->nodes[i];

		if (S_ISREG(node->mode))
			rc = libraries_add(found, i, image + node->offset, node->size, node->offset,
					   err);
	}
	memcpy(&mapping, &image, sizeof(mapping));
	(void)munmap(mapping, bytes);
	return rc;
}

/* Behind the files; the header, which says where, is written once more. */
static int write_libraries(struct layout *layout, int fd, struct psb_error *err)
{
	struct image_header *header = layout->header;
	struct libraries found = {0};
	uint64_t at = header->total_bytes;
	uint64_t parts_at;
	int rc = find_libraries(layout, fd, &found, err);

	parts_at = at + found.library_count * sizeof(*found.libraries);
	header->library_count = found.library_count;
	header->part_count = found.part_count;
	header->libraries_offset = at;
	header->parts_offset = parts_at;
	header->library_bytes = found.bytes;
	header->library_ram_bytes = found.ram_bytes;
	header->total_bytes = page_up(parts_at + found.part_count * sizeof(*found.parts));
	if (rc == 0)
		rc = check_size(layout, err);
	if (rc == 0)
		rc = write_all(fd, found.libraries, found.library_count * sizeof(*found.libraries),
			       at, err);
	if (rc == 0)
		rc = write_all(fd, found.parts, found.part_count * sizeof(*found.parts), parts_at,
			       err);
	if (rc == 0)
		rc = write_all(fd, header, sizeof(*header), 0, err);
	if (rc == 0 && ftruncate(fd, (off_t)header->total_bytes) < 0)
		rc = write_failed(err);
	libraries_close(&found);
	return rc;
}

int image_write(const struct tree *tree, int fd, image_progress_fn progress, void *context,
		uint64_t *out_bytes, struct psb_error *err)
{
	struct layout layout = {.tree = tree};
	int rc = lay_out(&layout, err);

	if (rc < 0 || !layout.meta)
		return rc;
	rc = fill(&layout, err);
	if (rc == 0 && ftruncate(fd, (off_t)layout.header->total_bytes) < 0)
		rc = write_failed(err);
	if (rc == 0)
		rc = write_all(fd, layout.meta, layout.meta_bytes, 0, err);
	if (rc == 0)
		rc = write_files(&layout, fd, progress, context, err);
	if (rc == 0)
		rc = write_libraries(&layout, fd, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = write_failed(err);
	if (rc == 0)
		*out_bytes = layout.header->total_bytes;
	free(layout.meta);
	return rc;
}
