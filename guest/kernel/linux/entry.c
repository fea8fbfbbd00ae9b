/*
 * What the assembly calls (../x86/kernel.h): boot, system calls, traps, collecting. For the guest
 * only: the one place with the kernel's one state.
 *
 * Theory of operation: the running thread's registers lie in its struct thread; the assembly stores
 * them there (current_frame_end) and resumes from what is returned.
 * Trust boundary: comm.trap comes from the VMM; what it says about the program's fault is told to
 * the program's handler.
 */
#include "../x86/kernel.h"
#include "boot.h"
#include "signal.h"

static struct kernel kernel;
static uint8_t heap_bytes[KERNEL_HEAP_BYTES] __attribute__((aligned(4096)));
uint64_t current_frame_end;
extern const uint8_t vdso_image[PAGE_BYTES]; /* made by vdso/embed.py */

enum {
	VECTOR_DIVIDE = 0,
	VECTOR_DEBUG = 1,
	VECTOR_BREAKPOINT = 3,
	VECTOR_OPCODE = 6,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE = 14,
	VECTOR_X87 = 16,
	VECTOR_ALIGNMENT = 17,
	VECTOR_SIMD = 19
};
enum { CODE_FLT = 1, CODE_MAPPING = 1, CODE_ACCESS = 2, CODE_KERNEL = 0x80 };

static void check(int error, const char *text)
{
	if (error)
		host_panic(text);
}

static struct guest_registers *resume(void)
{
	struct guest_registers *regs = schedule(&kernel);

	current_frame_end = address_of(regs + 1);
	return regs;
}

static void set_up_memory(const struct boot_info *boot)
{
	heap_init(&kernel.heap, heap_bytes, sizeof(heap_bytes));
	check(mm_init(&kernel.mm, &kernel.heap, &kernel.vfs, GUEST_PROGRAM_BASE, boot->pool_end),
	      "boot: no memory for the list of areas");
	check(mm_reserve(&kernel.mm, GUEST_KERNEL_BASE, GUEST_POOL_BASE),
	      "boot: the kernel's own area cannot be reserved");
	if (boot->library_ram_bytes > 0)
		check(mm_reserve(&kernel.mm, GUEST_LIBRARY_RAM,
				 GUEST_LIBRARY_RAM + boot->library_ram_bytes),
		      "boot: the memory of the library window cannot be reserved");
	mm_set_window(&kernel.mm, GUEST_LIBRARY_BASE, boot->library_bytes, GUEST_LIBRARY_RAM);
	mm_set_layout(&kernel.mm, GUEST_PROGRAM_BASE, GUEST_POOL_BASE + MAIN_STACK_BYTES);
}

/* A program without it asks by system calls. */
static void map_vdso(void)
{
	int64_t at = mm_map(&kernel.mm, 0, sizeof(vdso_image), LX_PROT_READ | LX_PROT_EXEC,
			    LX_MAP_PRIVATE | LX_MAP_ANONYMOUS);

	check(at < 0, "boot: no memory for the vDSO");
	memcpy(pointer_of((uint64_t)at), vdso_image, sizeof(vdso_image));
	kernel.vdso = (uint64_t)at;
	kernel.published = pointer_of(GUEST_CLOCK);
	clock_publish(&kernel);
}

struct guest_registers *kernel_boot(void)
{
	const struct boot_info *boot = pointer_of(GUEST_BOOT_INFO);

	check(boot->abi_version != GUEST_ABI_VERSION, "boot: the VMM speaks another ABI version");
	kernel_setup(&kernel, boot, pointer_of(GUEST_RUN_INFO), pointer_of(GUEST_COMM),
		     pointer_of(GUEST_OUTPUT));
	set_up_memory(boot);
	check(kernel_mount_all(&kernel, pointer_of(GUEST_IMAGE_BASE), boot->image_bytes),
	      "boot: the image is no file system, or lacks /dev, /proc, /tmp or /sandbox");
	check(kernel_open_streams(&kernel), "boot: the standard descriptors cannot be opened");
	map_vdso();
	check(kernel_start_program(&kernel),
	      "boot: the interpreter cannot be loaded from the image");
	return resume();
}

struct guest_registers *kernel_syscall(struct guest_registers *regs)
{
	(void)regs;
	kernel.current->in_call = true;
	return resume();
}

/* The signal that Linux sends for an exception; 0: none of the program's. */
static uint32_t signal_of(const struct trap_info *trap, struct signal_cause *cause)
{
	*cause = (struct signal_cause){.code = CODE_KERNEL,
				       .vector = trap->vector,
				       .error = trap->error_code,
				       .address = trap->regs.rip};
	switch (trap->vector) {
	case VECTOR_DIVIDE:
	case VECTOR_X87:
	case VECTOR_SIMD: cause->code = CODE_FLT; return LX_SIGFPE;
	case VECTOR_DEBUG:
	case VECTOR_BREAKPOINT: return LX_SIGTRAP;
	case VECTOR_OPCODE: cause->code = CODE_ACCESS; return LX_SIGILL;
	case VECTOR_ALIGNMENT: cause->code = CODE_MAPPING; return LX_SIGBUS;
	case VECTOR_PAGE:
		cause->address = trap->address;
		cause->code = trap->error_code & 1 ? CODE_ACCESS : CODE_MAPPING;
		return LX_SIGSEGV;
	default: cause->address = 0; return LX_SIGSEGV;
	}
}

struct guest_registers *kernel_trap(struct guest_registers *regs)
{
	const struct trap_info *trap = &kernel.comm->trap;
	struct signal_cause cause;
	uint32_t number;

	regs->orig_rax = UINT64_MAX;
	if (trap->vector == TRAP_KICK) {
		sched_kick(&kernel);
		return resume();
	}
	number = signal_of(trap, &cause);
	signal_fault(&kernel, number, cause);
	return resume();
}

void kernel_collect(void)
{
	collect_workspace(&kernel);
	host_exit(&kernel, EXIT_CODE, 0, 0);
}
