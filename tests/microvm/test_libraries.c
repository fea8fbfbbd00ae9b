/*
 * The table of libraries that an image gets: what a loader maps lies where it will look, what the
 * window cannot show has no place, and no damaged file reaches beyond itself.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../guest/kernel/image_libraries.h"
#include "engines/microvm/image/libraries.h"
#include "engines/microvm/image/write.h"

#define PAGE ((uint64_t)GUEST_PAGE_BYTES)
#define FILE_PAGES 5u
#define FILE_BYTES (FILE_PAGES * PAGE - 96)
#define OFFSET (16 * PAGE) /* of the file in the image */
#define DYNAMIC_AT 1024u
#define NODE 7u

/* Segments: 0 a page to read, 1 two to run, 2 (a page apart) a half to write with two pages of bss. */
struct object {
	Elf64_Ehdr head;
	Elf64_Phdr segments[4];
	uint8_t pad[DYNAMIC_AT - sizeof(Elf64_Ehdr) - 4 * sizeof(Elf64_Phdr)];
	Elf64_Dyn dynamic[3];
	uint8_t rest[FILE_BYTES - DYNAMIC_AT - 3 * sizeof(Elf64_Dyn)];
};

_Static_assert(sizeof(struct object) == FILE_BYTES, "as large as it says");

static struct object *make_object(void)
{
	struct object *object = test_calloc(1, sizeof(*object));

	memset(object->rest, 'r', sizeof(object->rest));
	object->head = (Elf64_Ehdr){.e_ident = ELFMAG,
				    .e_type = ET_DYN,
				    .e_machine = EM_X86_64,
				    .e_phoff = sizeof(object->head),
				    .e_phentsize = sizeof(Elf64_Phdr),
				    .e_phnum = 4};
	object->head.e_ident[EI_CLASS] = ELFCLASS64;
	object->segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
					   .p_flags = PF_R,
					   .p_filesz = PAGE - 8,
					   .p_memsz = PAGE - 8,
					   .p_align = PAGE};
	object->segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
					   .p_flags = PF_R | PF_X,
					   .p_offset = PAGE,
					   .p_vaddr = PAGE,
					   .p_filesz = PAGE + 8,
					   .p_memsz = PAGE + 8,
					   .p_align = PAGE};
	object->segments[2] = (Elf64_Phdr){.p_type = PT_LOAD,
					   .p_flags = PF_R | PF_W,
					   .p_offset = 3 * PAGE + 16,
					   .p_vaddr = 4 * PAGE + 16,
					   .p_filesz = PAGE / 2,
					   .p_memsz = 2 * PAGE + PAGE / 2,
					   .p_align = PAGE};
	object->segments[3] = (Elf64_Phdr){
		.p_type = PT_DYNAMIC, .p_offset = DYNAMIC_AT, .p_filesz = sizeof(object->dynamic)};
	return object;
}

static void add(struct libraries *libraries, uint32_t node, const struct object *object)
{
	struct psb_error err = {0};

	assert_int_equal(libraries_add(libraries, node, (const uint8_t *)object, sizeof(*object),
				       OFFSET, &err),
			 0);
}

static void check_part(const struct image_part *part, uint64_t start, uint64_t pages,
		       uint64_t source, uint64_t flags)
{
	assert_int_equal(part->start, start * PAGE);
	assert_int_equal(part->bytes, pages * PAGE);
	assert_int_equal(part->source, source);
	assert_int_equal(part->flags, flags);
}

static void segments_become_parts(void **state)
{
	struct object *object = make_object();
	struct libraries libraries = {0};

	(void)state;
	add(&libraries, NODE, object);
	add(&libraries, NODE + 1, object);
	assert_int_equal(libraries.library_count, 2);
	assert_int_equal(libraries.part_count, 6);
	assert_int_equal(libraries.libraries[0].node, NODE);
	assert_int_equal(libraries.libraries[0].start, 0);
	assert_int_equal(libraries.libraries[0].bytes, 7 * PAGE);
	assert_int_equal(libraries.libraries[0].align, PAGE);
	assert_int_equal(libraries.libraries[1].start, 8 * PAGE);
	check_part(&libraries.parts[0], 0, 1, OFFSET, 0);
	check_part(&libraries.parts[1], 1, 2, OFFSET + PAGE, IMAGE_PART_EXEC);
	check_part(&libraries.parts[2], 4, 3, 0, IMAGE_PART_WRITE);
	check_part(&libraries.parts[5], 12, 3, 3 * PAGE, IMAGE_PART_WRITE);
	assert_int_equal(libraries.ram_bytes, 6 * PAGE);
	libraries_close(&libraries);
	test_free(object);
}

/* Room for what a loader asks for to find an aligned part of it. */
static void wide_alignment_is_kept(void **state)
{
	struct object *object = make_object();
	struct libraries libraries = {0};

	(void)state;
	add(&libraries, NODE, object);
	object->segments[0].p_align = 16 * PAGE;
	add(&libraries, NODE + 1, object);
	assert_int_equal(libraries.libraries[1].start, 16 * PAGE);
	assert_int_equal(libraries.libraries[1].align, 16 * PAGE);
	assert_int_equal(libraries.bytes, (16 + 32 + 1) * PAGE);
	libraries_close(&libraries);
	test_free(object);
}

static void expect_none(const struct object *object, const char *why)
{
	struct libraries libraries = {0};

	add(&libraries, NODE, object);
	if (libraries.library_count != 0)
		fail_msg("placed: %s", why);
	libraries_close(&libraries);
}

static void what_the_window_cannot_show_has_no_place(void **state)
{
	struct object *object = make_object();
	const struct object good = *object;

	(void)state;
#define NONE(change)                                                                               \
	do {                                                                                       \
		change;                                                                            \
		expect_none(object, #change);                                                      \
		*object = good;                                                                    \
	} while (0)
	NONE(object->head.e_ident[0] = 0);
	NONE(object->head.e_ident[EI_CLASS] = ELFCLASS32);
	NONE(object->head.e_machine = EM_386);
	NONE(object->head.e_type = ET_EXEC);
	NONE(object->head.e_phentsize = 32);
	NONE(object->head.e_phnum = 65);
	NONE(object->head.e_phnum = 3);
	NONE(object->head.e_phoff = UINT64_MAX - 8);
	NONE(object->head.e_phoff = FILE_BYTES - 100);
	NONE(object->dynamic[0].d_tag = DT_TEXTREL);
	NONE((object->dynamic[0] = (Elf64_Dyn){.d_tag = DT_FLAGS, .d_un.d_val = DF_TEXTREL}));
	NONE((object->dynamic[0] = (Elf64_Dyn){.d_tag = DT_FLAGS_1, .d_un.d_val = DF_1_PIE}));
	NONE(object->segments[3].p_offset = FILE_BYTES);
	NONE(object->segments[3].p_filesz = UINT64_MAX);
	NONE(object->segments[0].p_flags = PF_R | PF_W);
	NONE(object->segments[1].p_flags = PF_R | PF_W | PF_X);
	NONE(object->segments[1].p_memsz = 2 * PAGE);
	NONE(object->segments[1].p_vaddr = PAGE + 8);
	NONE(object->segments[1].p_vaddr = 0);
	NONE(object->segments[1].p_offset = 1024 * PAGE);
	NONE(object->segments[1].p_align = 3);
	NONE(object->segments[1].p_align = UINT64_C(1) << 22);
	NONE(object->segments[2].p_vaddr = 2 * PAGE + 16);
	NONE(object->segments[2].p_filesz = 3 * PAGE);
	NONE(object->segments[2].p_memsz = 0);
	NONE(object->segments[2].p_memsz = UINT64_MAX);
	NONE(object->segments[2].p_vaddr = UINT64_MAX - PAGE + 17);
	NONE(object->segments[2].p_memsz = GUEST_LIBRARY_RAM_MAX_BYTES);
	NONE(object->segments[2].p_vaddr = GUEST_LIBRARY_MAX_BYTES - PAGE + 16);
	NONE(object->segments[0].p_offset = object->segments[0].p_vaddr = PAGE);
	test_free(object);
}

static void a_full_window_takes_no_more(void **state)
{
	struct object *object = make_object();
	struct libraries libraries = {0};
	const uint32_t fit = GUEST_LIBRARY_RAM_MAX_BYTES / (1027 * PAGE);

	(void)state;
	object->segments[2].p_memsz = 1026 * PAGE;
	for (uint32_t i = 0; i < 2 * fit; i++)
		add(&libraries, NODE + i, object);
	assert_int_equal(libraries.library_count, fit);
	object->segments[2].p_memsz = PAGE;
	object->segments[2].p_vaddr = GUEST_LIBRARY_MAX_BYTES / 2 + 16;
	add(&libraries, NODE + 2 * fit, object);
	add(&libraries, NODE + 2 * fit + 1, object);
	assert_int_equal(libraries.library_count, fit + 1);
	assert_true(libraries.bytes <= GUEST_LIBRARY_MAX_BYTES);
	assert_true(libraries.ram_bytes <= GUEST_LIBRARY_RAM_MAX_BYTES);
	libraries_close(&libraries);
	test_free(object);
}

/* Reads past an allocation of the exact size are the sanitizer's to see. */
static void cut_files_have_no_place(void **state)
{
	struct object *object = make_object();

	(void)state;
	for (size_t bytes = 0; bytes < object->segments[2].p_offset + PAGE / 2;
	     bytes += bytes < DYNAMIC_AT + 64 ? 1 : 509) {
		struct libraries libraries = {0};
		struct psb_error err = {0};
		uint8_t *cut = malloc(bytes + 1);

		assert_non_null(cut);
		memcpy(cut + 1, object, bytes);
		assert_int_equal(libraries_add(&libraries, NODE, cut + 1, bytes, OFFSET, &err), 0);
		assert_int_equal(libraries.library_count, 0);
		libraries_close(&libraries);
		free(cut);
	}
	test_free(object);
}

static void an_image_has_its_table(void **state)
{
	struct object *object = make_object();
	char path[] = "/tmp/psb-libraries-XXXXXX";
	int source = mkstemp(path);
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_libraries table = {0};
	struct psb_error err = {0};
	struct tree tree;
	uint64_t bytes;
	const uint8_t *image;

	(void)state;
	assert_int_equal(write(source, object, sizeof(*object)), sizeof(*object));
	assert_int_equal(tree_open(&tree, &err), 0);
	assert_int_equal(tree_add_text(&tree, "/a", "no library", &err), 0);
	assert_int_equal(tree_add_at(&tree, path, "/lib/one.so", &err), 0);
	assert_int_equal(tree_add_at(&tree, path, "/lib/two.so", &err), 0);
	assert_int_equal(image_write(&tree, fd, NULL, NULL, &bytes, &err), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), bytes);
	image = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (!image_libraries_read(image, bytes, &table) || !table.parts) {
		fail_msg("the table is damaged");
		return;
	}
	assert_int_equal(table.library_count, 2);
	assert_int_equal(table.part_count, 6);
	assert_memory_equal(image + table.parts[4].source, (uint8_t *)object + PAGE, 2 * PAGE);
	(void)unlink(path);
	(void)close(source);
	(void)close(fd);
	tree_close(&tree);
	test_free(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_become_parts),
		cmocka_unit_test(wide_alignment_is_kept),
		cmocka_unit_test(what_the_window_cannot_show_has_no_place),
		cmocka_unit_test(a_full_window_takes_no_more),
		cmocka_unit_test(cut_files_have_no_place),
		cmocka_unit_test(an_image_has_its_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
