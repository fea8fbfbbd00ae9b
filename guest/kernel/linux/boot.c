/*
 * From an empty machine to a running interpreter, and from a snapshot to a new execution.
 *
 * Trust boundary: boot_info and run_info come from the VMM. The image is checked by the file
 * system and by elf.c.
 */
#include "boot.h"

#include "signal.h"
#include "syscalls.h"

#include <linux/auxvec.h>

#define CLOCK_TICKS 100u
#define DEFAULT_FILES 250u
#define MAX_AUX 24u
#define FLAGS_ALWAYS 0x202u

void kernel_setup(struct kernel *kernel, const struct boot_info *boot, const struct run_info *run,
		  struct comm *comm, uint8_t *output)
{
	kernel->boot = boot;
	kernel->run = run;
	kernel->comm = comm;
	kernel->output = output;
	kernel->pid = run->pid ? run->pid : 1;
	kernel->next_tid = kernel->pid;
	kernel->fds.limit = DEFAULT_FILES;
	kernel->vfs.umask = 022;
	kernel->vfs.tmpfs.max_bytes = UINT64_MAX / 2;
	kernel->vfs.tmpfs.max_files = UINT64_MAX / 2;
	kernel->told_base_tsc = boot->clock.base_tsc;
	kernel->base_tsc = min_u64(boot->clock.base_tsc, cpu_ticks());
	kernel->started_ns = clock_ns(kernel, CLOCK_STEADY);
	random_seed(&kernel->random, boot->entropy);
	memcpy(kernel->name, "python3", sizeof("python3"));
	host_connect(kernel);
}

/* glibc keeps its own copy of the main thread's number, where it asked for it to be cleared. */
static void renumber(struct kernel *kernel, uint32_t pid)
{
	struct thread *main_thread = kernel->threads[0];

	kernel->pid = pid;
	kernel->next_tid = max_u64(kernel->next_tid, pid + UINT64_C(1)) & 0x3fffffff;
	main_thread->tid = pid;
	if (main_thread->clear_tid)
		(void)user_put(kernel, main_thread->clear_tid, &pid, sizeof(pid));
}

static void set_limits(struct kernel *kernel)
{
	const struct run_info *run = kernel->run;
	struct tmpfs *tmpfs = &kernel->vfs.tmpfs;

	(void)mm_set_end(&kernel->mm, run->pool_end);
	mm_begin(&kernel->mm, &kernel->comm->memory_peak_bytes);
	kernel->mm.limit = UINT64_MAX;
	if (run->memory_limit_bytes < UINT64_MAX - kernel->mm.charged)
		kernel->mm.limit = kernel->mm.charged + run->memory_limit_bytes;
	tmpfs->max_bytes = tmpfs->used_bytes + min_u64(run->workspace_bytes, UINT64_MAX / 4);
	tmpfs->max_files = tmpfs->used_files + min_u64(run->workspace_files, UINT64_MAX / 4);
	if (run->max_open_files > 0)
		kernel->fds.limit = (uint32_t)min_u64(run->max_open_files, GUEST_RESULT_FD);
}

void kernel_new_run(struct kernel *kernel)
{
	kernel->generation = kernel->run->generation;
	clock_rebase(kernel);
	kernel->limits_hit = 0;
	kernel->vfs.disk_limit_hit = false;
	kernel->comm->unknown_calls = 0;
	kernel->idle_ns = 0;
	kernel->kicks_on = false;
	kernel->review_kicks = true;
	kernel->started_ns = clock_ns(kernel, CLOCK_STEADY);
	random_seed(&kernel->random, kernel->run->entropy);
	renumber(kernel, kernel->run->pid);
	set_limits(kernel);
}

int kernel_mount_all(struct kernel *kernel, const void *image, uint64_t image_bytes)
{
	struct vfs *vfs = &kernel->vfs;
	struct walk walk;
	int error = image_mount(vfs, image, image_bytes);

	if (!error)
		error = synth_mount(vfs);
	if (!error)
		error = tmpfs_mount_over(vfs, "/tmp", 01777);
	if (!error)
		error = tmpfs_mount(vfs, "/sandbox", 0755);
	if (!error)
		error = tmpfs_mount(vfs, "/dev/shm", 01777);
	if (!error)
		error = vfs_make(vfs, vfs->root, WORKSPACE, LX_S_IFDIR | 0755, NULL);
	if (!error)
		error = path_walk(vfs, vfs->root, WORKSPACE, 0, &walk);
	if (error)
		return error;
	node_hold(walk.node);
	vfs->cwd = walk.node;
	return 0;
}

static int open_stream(struct kernel *kernel, uint32_t stream, uint32_t fd)
{
	struct file *file;
	int error = stream ? stream_output_make(&kernel->vfs, stream, &file)
			   : stream_request_make(&kernel->vfs, &file);

	if (!error)
		(void)fd_install_at(&kernel->fds, file, fd, fd > GUEST_STDERR_FD);
	if (!error && fd == GUEST_RESULT_FD)
		kernel->fds.kept = file;
	return error;
}

int kernel_open_streams(struct kernel *kernel)
{
	struct file *null;
	int error = vfs_open(&kernel->vfs, kernel->vfs.root, "/dev/null", LX_O_RDONLY, 0, &null);

	if (error)
		return error;
	(void)fd_install_at(&kernel->fds, null, 0, false);
	error = open_stream(kernel, STREAM_STDOUT, GUEST_STDOUT_FD);
	if (!error)
		error = open_stream(kernel, STREAM_STDERR, GUEST_STDERR_FD);
	if (!error)
		error = open_stream(kernel, STREAM_RESULT, GUEST_RESULT_FD);
	return error ? error : open_stream(kernel, 0, GUEST_REQUEST_FD);
}

struct stack {
	uint64_t at; /* grows down */
	uint64_t strings[GUEST_MAX_ARGS];
	uint64_t aux[2 * MAX_AUX];
	unsigned aux_words;
};

static uint64_t push(struct stack *stack, const void *data, uint64_t bytes)
{
	stack->at -= bytes;
	memcpy(pointer_of(stack->at), data, bytes);
	return stack->at;
}

static void add_aux(struct stack *stack, uint64_t type, uint64_t value)
{
	stack->aux[stack->aux_words++] = type;
	stack->aux[stack->aux_words++] = value;
}

static void fill_aux(struct kernel *kernel, struct stack *stack, const struct program *program)
{
	static const char platform[] = "x86_64";
	uint8_t seed[16];

	random_fill(&kernel->random, seed, sizeof(seed));
	add_aux(stack, AT_RANDOM, push(stack, seed, sizeof(seed)));
	add_aux(stack, AT_PLATFORM, push(stack, platform, sizeof(platform)));
	add_aux(stack, AT_PHDR, program->headers);
	add_aux(stack, AT_PHENT, 56);
	add_aux(stack, AT_PHNUM, program->header_count);
	add_aux(stack, AT_PAGESZ, PAGE_BYTES);
	add_aux(stack, AT_BASE, program->interp_base);
	add_aux(stack, AT_FLAGS, 0);
	add_aux(stack, AT_ENTRY, program->entry);
	add_aux(stack, AT_UID, GUEST_UID);
	add_aux(stack, AT_EUID, GUEST_UID);
	add_aux(stack, AT_GID, GUEST_UID);
	add_aux(stack, AT_EGID, GUEST_UID);
	add_aux(stack, AT_SECURE, 0);
	add_aux(stack, AT_HWCAP, kernel->boot->hwcap);
	add_aux(stack, AT_HWCAP2, kernel->boot->hwcap2);
	add_aux(stack, AT_CLKTCK, CLOCK_TICKS);
	add_aux(stack, AT_EXECFN, stack->strings[0]);
	if (kernel->vdso)
		add_aux(stack, AT_SYSINFO_EHDR, kernel->vdso);
	add_aux(stack, AT_NULL, 0);
}

/* argc, argv, NULL, envp, NULL, auxv; the strings lie above. */
static void fill_stack(struct kernel *kernel, struct stack *stack, const struct program *program)
{
	const struct boot_info *boot = kernel->boot;
	uint64_t count = boot->argc + boot->envc;
	uint64_t base = push(stack, boot->strings, boot->string_bytes);
	const char *at = boot->strings;
	uint64_t words;
	uint64_t *out;

	for (uint64_t i = 0; i < count; i++) {
		stack->strings[i] = base + (uint64_t)(at - boot->strings);
		at += strlen(at) + 1;
	}
	fill_aux(kernel, stack, program);
	words = 1 + count + 2 + stack->aux_words;
	stack->at = (stack->at - words * sizeof(*out)) & ~UINT64_C(15);
	out = pointer_of(stack->at);
	*out++ = boot->argc;
	for (uint64_t i = 0; i < count; i++) {
		if (i == boot->argc)
			*out++ = 0;
		*out++ = stack->strings[i];
	}
	if (boot->envc == 0)
		*out++ = 0;
	*out++ = 0;
	memcpy(out, stack->aux, stack->aux_words * sizeof(*out));
}

static bool strings_are_good(const struct boot_info *boot)
{
	uint64_t ends = 0;

	if (boot->argc == 0 || boot->argc + boot->envc > GUEST_MAX_ARGS ||
	    boot->string_bytes > sizeof(boot->strings))
		return false;
	for (uint32_t i = 0; i < boot->string_bytes; i++)
		ends += boot->strings[i] == 0;
	return ends == boot->argc + boot->envc && boot->strings[boot->string_bytes - 1] == 0;
}

/* Of a program at a fixed address: what the snapshot's tables will deny writing. */
static struct extent large_pages_of_text(const struct program *program)
{
	struct extent text = {(program->text_start + GUEST_LARGE_PAGE_BYTES - 1) &
				      ~(GUEST_LARGE_PAGE_BYTES - 1),
			      program->text_end & ~(GUEST_LARGE_PAGE_BYTES - 1)};

	if (text.start < GUEST_PROGRAM_BASE || text.end > GUEST_KERNEL_BASE ||
	    text.start >= text.end)
		text.start = text.end = GUEST_PROGRAM_BASE;
	return text;
}

int kernel_start_program(struct kernel *kernel)
{
	struct program program;
	struct stack stack = {.aux_words = 0};
	struct thread *thread = thread_new(kernel);
	int64_t base;
	int error;

	if (!thread || !strings_are_good(kernel->boot))
		return -EINVAL;
	error = elf_load(kernel, kernel->boot->strings, &program);
	if (error)
		return error;
	if (program.end <= kernel->mm.map_base)
		mm_set_layout(&kernel->mm, program.end, kernel->mm.map_base);
	base = mm_map(&kernel->mm, GUEST_POOL_BASE, MAIN_STACK_BYTES, LX_PROT_READ | LX_PROT_WRITE,
		      LX_MAP_PRIVATE | LX_MAP_ANONYMOUS | LX_MAP_STACK | LX_MAP_FIXED);
	if (base < 0)
		return (int)base;
	stack.at = (uint64_t)base + MAIN_STACK_BYTES;
	fill_stack(kernel, &stack, &program);
	kernel->main_stack = stack.at;
	kernel->mm.text = large_pages_of_text(&program);
	kernel->comm->text_start = kernel->mm.text.start;
	kernel->comm->text_end = kernel->mm.text.end;
	thread->regs = (struct guest_registers){
		.rip = program.start,
		.rsp = stack.at,
		.cs = GUEST_USER_CS,
		.ss = GUEST_USER_SS,
		.rflags = FLAGS_ALWAYS,
		.orig_rax = UINT64_MAX,
	};
	thread->runnable = true;
	kernel->current = thread;
	return 0;
}
