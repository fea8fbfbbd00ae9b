/*
 * The processor and the host of world.h. The clock stands still except when the kernel waits.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux/signal.h"

static struct world *the_world;

void cpu_save_fpu(void *area, uint64_t mask)
{
	memset(area, (int)mask, the_world->boot.xsave_bytes);
}

void cpu_load_fpu(const void *area, uint64_t mask)
{
	(void)area;
	(void)mask;
}

uint64_t cpu_fs_base(void)
{
	return the_world->fs_base;
}

void cpu_set_fs_base(uint64_t base)
{
	the_world->fs_base = base;
}

uint64_t cpu_ticks(void)
{
	return the_world->clock_ns;
}

static void leave(enum world_end end)
{
	the_world->end = end;
	if (!the_world->escapes)
		abort();
	longjmp(the_world->escape, 1);
}

static void drain(void)
{
	uint64_t at = 0;

	while (at < the_world->comm.output_used) {
		struct output_record record;

		memcpy(&record, the_world->output + at, sizeof(record));
		if (record.bytes > GUEST_OUTPUT_BYTES - at - sizeof(record))
			abort();
		for (uint32_t i = 0; i < record.bytes; i++, the_world->seen_bytes++)
			if (the_world->seen_bytes < sizeof(the_world->seen) - 1)
				the_world->seen[the_world->seen_bytes] =
					(char)the_world->output[at + sizeof(record) + i];
		at += (sizeof(record) + record.bytes + 7) & ~UINT64_C(7);
	}
	the_world->comm.output_used = 0;
}

static int64_t give_request(uint64_t buffer, uint64_t bytes)
{
	uint64_t len;

	the_world->request_at = buffer;
	if (the_world->run.generation == 0)
		the_world->run.generation = 7;
	if (!the_world->request)
		return 0;
	len = strlen(the_world->request);
	len = len < bytes ? len : bytes;
	memcpy(pointer_of(buffer), the_world->request, len);
	the_world->request += len;
	return (int64_t)len;
}

static int64_t wait_for(uint64_t ns)
{
	drain();
	if (ns == NEVER_NS)
		leave(WORLD_STUCK);
	the_world->clock_ns += ns;
	the_world->waited_ns += ns;
	return 0;
}

int64_t host_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
	switch (number) {
	case HOST_READ: drain(); return give_request(a, b);
	case HOST_FLUSH: drain(); return 0;
	case HOST_WAIT: return wait_for(a);
	case HOST_TIMER: the_world->timers_set++; return 0;
	case HOST_EXIT:
		drain();
		the_world->exit_kind = a;
		the_world->exit_value = b;
		the_world->exit_address = c;
		leave(WORLD_EXIT);
		return 0;
	default:
		memcpy(the_world->panic, pointer_of(a),
		       b < HOST_PANIC_MAX_BYTES ? b : HOST_PANIC_MAX_BYTES);
		leave(WORLD_PANIC);
		return 0;
	}
}

static void fill_infos(struct world *world)
{
	world->boot.abi_version = GUEST_ABI_VERSION;
	world->boot.argc = 1;
	world->boot.string_bytes = 8;
	memcpy(world->boot.strings, "/python", 8);
	world->boot.xsave_mask = 7;
	world->boot.xsave_bytes = 832;
	world->boot.clock = (struct guest_clock){0, UINT64_C(1) << 32, NS_PER_SEC,
						 UINT64_C(1700000000) * NS_PER_SEC};
	world->run.clock = world->boot.clock;
	world->run.pid = 100;
	world->run.pool_end = address_of(world->pool) + WORLD_POOL_BYTES;
	world->run.memory_limit_bytes = WORLD_POOL_BYTES;
	world->run.workspace_bytes = UINT64_C(8) << 20;
	world->run.workspace_files = 1000;
	world->run.max_threads = 8;
	world->run.max_open_files = 200;
}

static void start_thread(struct kernel *kernel)
{
	struct thread *thread = thread_new(kernel);

	if (!thread)
		abort();
	thread->runnable = true;
	thread->regs.orig_rax = UINT64_MAX;
	kernel->current = thread;
}

/* As the page tables have it: shared with the image, or with memory of its own. */
static void open_window(struct world *world)
{
	const struct image_libraries *table = &world->kernel.vfs.image.libraries;
	int fd = memfd_create("window", MFD_CLOEXEC);

	world->window = mmap(NULL, table->bytes, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ftruncate(fd, (off_t)table->ram_bytes) < 0)
		abort();
	world->window_memory =
		mmap(NULL, table->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (uint32_t i = 0; i < table->part_count; i++) {
		const struct image_part *part = &table->parts[i];
		uint8_t *at = world->window + part->start;

		if (part->flags & IMAGE_PART_WRITE) {
			(void)mmap(at, part->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				   fd, (off_t)part->source);
			continue;
		}
		(void)mprotect(at, part->bytes, PROT_READ | PROT_WRITE);
		memcpy(at, world->image + part->source, part->bytes);
		(void)mprotect(at, part->bytes, PROT_READ);
	}
	(void)close(fd);
	mm_set_window(&world->kernel.mm, address_of(world->window), table->bytes,
		      address_of(world->window_memory));
}

static void close_window(struct world *world)
{
	munmap(world->window, TEST_WINDOW_PAGES * PAGE_BYTES);
	munmap(world->window_memory, TEST_MEMORY_PAGES * PAGE_BYTES);
}

struct world *world_open(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct kernel *kernel = &world->kernel;
	int64_t user;

	the_world = world;
	world->output = calloc(1, GUEST_OUTPUT_BYTES);
	world->pool = mmap(NULL, WORLD_POOL_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	world->image = test_image(&world->image_bytes);
	fill_infos(world);
	heap_init(&kernel->heap, NULL, 0); /* the tests' heap is malloc, see malloc_heap.c */
	kernel_setup(kernel, &world->boot, &world->run, &world->comm, world->output);
	if (mm_init(&kernel->mm, &kernel->heap, &kernel->vfs, address_of(world->pool),
		    address_of(world->pool) + WORLD_POOL_BYTES) ||
	    kernel_mount_all(kernel, world->image, world->image_bytes) ||
	    kernel_open_streams(kernel))
		abort();
	mm_set_layout(&kernel->mm, address_of(world->pool),
		      address_of(world->pool) + WORLD_POOL_BYTES / 4);
	open_window(world);
	start_thread(kernel);
	user = mm_map(&kernel->mm, 0, WORLD_USER_BYTES, LX_PROT_READ | LX_PROT_WRITE, 0);
	world->user = pointer_of((uint64_t)user);
	kernel_new_run(kernel);
	world->run.generation = 1;
	kernel->generation = 1;
	return world;
}

void world_close(struct world *world)
{
	heap_init(&world->kernel.heap, NULL, UINT64_MAX); /* frees everything */
	munmap(world->pool, WORLD_POOL_BYTES);
	close_window(world);
	free(world->image);
	free(world->output);
	free(world);
	the_world = NULL;
}

int64_t world_call(struct world *world, uint64_t number, uint64_t a, uint64_t b, uint64_t c,
		   uint64_t d, uint64_t e, uint64_t f)
{
	struct thread *thread = world->kernel.current;
	struct guest_registers *regs = &thread->regs;
	volatile int64_t result = INT64_MIN;

	regs->orig_rax = regs->rax = number;
	regs->rdi = a;
	regs->rsi = b;
	regs->rdx = c;
	regs->r10 = d;
	regs->r8 = e;
	regs->r9 = f;
	thread->in_call = true;
	world->escapes = true;
	if (setjmp(world->escape) == 0)
		result = (int64_t)schedule(&world->kernel)->rax;
	world->escapes = false;
	return result;
}

uint64_t world_string(struct world *world, uint64_t offset, const char *text)
{
	memcpy(world->user + offset, text, strlen(text) + 1);
	return world_user(world, offset);
}

uint32_t world_thread(struct world *world)
{
	/* What pthread_create asks for. */
	uint64_t top = world_user(world, WORLD_USER_BYTES - 64);

	return (uint32_t)CALL(world, __NR_clone, 0x3d0f00, top, world_user(world, 0),
			      world_user(world, 0), 0x1234);
}

struct thread *world_kick(struct world *world)
{
	world->kernel.current->regs.orig_rax = UINT64_MAX;
	world->escapes = true;
	if (setjmp(world->escape) == 0) {
		sched_kick(&world->kernel);
		(void)schedule(&world->kernel);
	}
	world->escapes = false;
	return world->kernel.current;
}
