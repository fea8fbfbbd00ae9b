/* See fixture.h. */
#include "fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../guest/kernel/image_format.h"

static int open_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Nothing but a header, and one library: a page of code, one of data, one of memory. */
static uint64_t put_image(int fd)
{
	struct {
		struct image_header header;
		struct image_library library;
		struct image_part parts[3];
	} head = {
		.header = {.magic = IMAGE_MAGIC,
			   .version = IMAGE_VERSION,
			   .node_count = 1,
			   .library_count = 1,
			   .part_count = 3,
			   .libraries_offset = sizeof(struct image_header),
			   .parts_offset =
				   sizeof(struct image_header) + sizeof(struct image_library),
			   .library_bytes = 4 * GUEST_PAGE_BYTES,
			   .library_ram_bytes = GUEST_PAGE_BYTES},
		.library = {.bytes = 3 * GUEST_PAGE_BYTES, .align = GUEST_PAGE_BYTES},
		.parts = {{0, GUEST_PAGE_BYTES, GUEST_PAGE_BYTES, IMAGE_PART_EXEC},
			  {GUEST_PAGE_BYTES, GUEST_PAGE_BYTES, GUEST_PAGE_BYTES, 0},
			  {2 * GUEST_PAGE_BYTES, GUEST_PAGE_BYTES, 0, IMAGE_PART_WRITE}},
	};
	const uint8_t code = 0xc3; /* ret */

	assert_int_equal(ftruncate(fd, 2 * GUEST_PAGE_BYTES), 0);
	assert_int_equal(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(pwrite(fd, &code, sizeof(code), GUEST_PAGE_BYTES), sizeof(code));
	return 2 * GUEST_PAGE_BYTES;
}

static void make_snapshot(struct fixture *fixture, int kvm_fd)
{
	static const char *const none[] = {NULL};
	static struct boot boot;
	static struct boot_result result;
	struct psb_error err = {0};

	boot = (struct boot){.kvm_fd = kvm_fd,
			     .kernel_fd = open(getenv("PSB_MINI_KERNEL"), O_RDONLY | O_CLOEXEC),
			     .image_fd = open_file("image"),
			     .memory_fd = open_file("memory"),
			     .snapshot_fd = open_file("snapshot"),
			     .report_fd = -1,
			     .argv = none,
			     .envp = none};
	boot.image_bytes = put_image(boot.image_fd);
	(void)fchmod(boot.image_fd, 0600);
	(void)fchmod(boot.snapshot_fd, 0600);
	if (boot_run(&boot, &result, &err) < 0 || boot_store(&boot, &result, &err) < 0)
		fail_msg("%s", err.message);
	if (snapshot_load(&fixture->snapshot, boot.snapshot_fd, boot.image_fd, &err) < 0)
		fail_msg("%s", err.message);
	(void)close(boot.kernel_fd);
	(void)close(boot.memory_fd);
}

int fixture_set_up(void **state)
{
	static struct fixture fixture;
	struct worker *worker = &fixture.worker;
	struct psb_error err = {0};
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int ends[2];

	make_snapshot(&fixture, kvm_fd);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	(void)fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	fixture.events_fd = ends[0];
	worker->snapshot = &fixture.snapshot;
	worker->outbox.fd = ends[1];
	worker->limits = (struct vm_limits){.wall_ms = FIXTURE_WALL_MS,
					    .cpu_ms = FIXTURE_WALL_MS,
					    .memory_bytes = 64u << 20,
					    .workspace_bytes = 16u << 20,
					    .workspace_files = 64,
					    .open_files = 64,
					    .threads = 8};
	if (worker_prepare(worker, kvm_fd, &err) < 0)
		fail_msg("%s", err.message);
	(void)close(kvm_fd);
	*state = &fixture;
	return 0;
}
