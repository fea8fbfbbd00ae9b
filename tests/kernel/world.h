/*
 * A guest kernel as ordinary code: its memory is an allocation, its processor and its host are
 * played by world.c. System calls are made by number, as a program would.
 */
#ifndef PSB_TEST_KERNEL_WORLD_H
#define PSB_TEST_KERNEL_WORLD_H

#include <asm/unistd_64.h>
#include <setjmp.h>

#include "linux/boot.h"
#include "linux/kernel.h"

#define WORLD_POOL_BYTES (UINT64_C(64) << 20)
#define WORLD_USER_BYTES (UINT64_C(1) << 20)

/* Nodes of the image's two libraries, and the window, in pages:
 *   0 lib.so: a (read), 1: b (run), 2: nothing, 3-4: memory; in the file the pages a, b, c, d
 *   8 wide.so, aligned to four pages: a (run), 9: memory; in the file a, b */
#define TEST_LIB 4u
#define TEST_WIDE 9u
#define TEST_WINDOW_PAGES 17u
#define TEST_MEMORY_PAGES 3u

enum world_end { WORLD_RUNS, WORLD_EXIT, WORLD_PANIC, WORLD_STUCK };

struct world {
	struct kernel kernel;
	struct boot_info boot;
	struct run_info run;
	struct comm comm;
	uint8_t *output;
	uint8_t *pool;
	uint64_t image_bytes;
	uint8_t *image;
	uint8_t *window; /* of libraries; what cannot be written there cannot be written by us */
	uint8_t *window_memory; /* its writable pages, once more */
	uint64_t request_at;    /* where the last reading of the request went */
	uint8_t *user;          /* memory of the program, WORLD_USER_BYTES */
	uint64_t clock_ns;
	uint64_t fs_base;
	uint32_t timers_set;
	uint64_t waited_ns;
	uint64_t seen_bytes; /* of output, drained */
	char seen[4096];
	const char *request;
	/* How it ended, if it did: exit_kind, value, address. */
	enum world_end end;
	uint64_t exit_kind;
	uint64_t exit_value;
	uint64_t exit_address;
	char panic[HOST_PANIC_MAX_BYTES + 1];
	jmp_buf escape;
	bool escapes;
};

/* A booted kernel with one thread and no program; entries of the image: /hello, /dir/inner, /link */
struct world *world_open(void);
void world_close(struct world *world);

/* A system call of the current thread. The result; when the call blocks and another thread comes to
 * run, that thread's last result. INT64_MIN: the run ended (world->end). */
int64_t world_call(struct world *world, uint64_t number, uint64_t a, uint64_t b, uint64_t c,
		   uint64_t d, uint64_t e, uint64_t f);
#define CALL(world, number, ...) CALL_(world, number, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(world, number, a, b, c, d, e, f, ...)                                                \
	world_call(world, number, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d),      \
		   (uint64_t)(e), (uint64_t)(f))
/* A string into the program's memory at that offset; its address. */
uint64_t world_string(struct world *world, uint64_t offset, const char *text);
static inline uint64_t world_user(const struct world *world, uint64_t offset)
{
	return address_of(world->user) + offset;
}
/* A second thread by clone; its number. */
uint32_t world_thread(struct world *world);
/* A kick of the host: whoever runs then. */
struct thread *world_kick(struct world *world);

/* image.c: a small image, freed by the caller */
uint8_t *test_image(uint64_t *bytes);

#endif
