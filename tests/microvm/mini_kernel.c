/*
 * A guest kernel for tests of the VMM: it reads a request of one line and does what its first
 * letter says, in ways that a real kernel would not. No trust boundary: it is the attacker.
 */
#include "../../guest/kernel/x86/kernel.h"

#define BUFFER_BYTES 65536u
#define FAR_PAGES 4096u
#define MEMORY_FAR UINT64_C(0x08000000)
/* The one library of fixture.c. */
#define WINDOW_CODE GUEST_LIBRARY_BASE
#define WINDOW_DATA (GUEST_LIBRARY_BASE + GUEST_PAGE_BYTES)
#define WINDOW_MEMORY (GUEST_LIBRARY_BASE + UINT64_C(2) * GUEST_PAGE_BYTES)
#define WINDOW_NOTHING (GUEST_LIBRARY_BASE + UINT64_C(3) * GUEST_PAGE_BYTES)

uint64_t current_frame_end;

static struct guest_registers frame;
static uint8_t buffer[BUFFER_BYTES];
static uint64_t ticks;

static struct comm *comm(void)
{
	return (struct comm *)GUEST_COMM;
}

static void exit_with(uint64_t kind, uint64_t value)
{
	(void)host_call(HOST_EXIT, kind, value, 0);
	for (;;)
		;
}

static void emit(uint32_t stream, const char *text, uint32_t bytes)
{
	struct output_record *record = (struct output_record *)(GUEST_OUTPUT + comm()->output_used);
	char *data = (char *)(record + 1);

	record->stream = stream;
	record->bytes = bytes;
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = text[i];
	comm()->output_used += (uint32_t)sizeof(*record) + ((bytes + 7) & ~7u);
}

static void touch(uint64_t start, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		*(volatile uint64_t *)(start + i * GUEST_PAGE_BYTES) = ~i;
}

/* In ring 3, outside of the kernel's text as far as the VMM can tell: its pages are in the pool. */
static struct guest_registers *run_user(const uint8_t *code, uint64_t bytes)
{
	uint8_t *to = (uint8_t *)(GUEST_POOL_BASE + 0x10000);

	for (uint64_t i = 0; i < bytes; i++)
		to[i] = code[i];
	frame = (struct guest_registers){.rip = (uint64_t)to,
					 .cs = GUEST_USER_CS,
					 .rflags = 0x202,
					 .rsp = GUEST_POOL_BASE + 0x20000,
					 .ss = GUEST_USER_SS};
	return &frame;
}

static void flood(void)
{
	for (;;) {
		while (comm()->output_used < GUEST_OUTPUT_BYTES - 4096)
			emit(STREAM_STDOUT, (const char *)buffer, 2048);
		(void)host_call(HOST_FLUSH, 0, 0, 0);
	}
}

static void lie_about_output(void)
{
	struct output_record *record = (struct output_record *)GUEST_OUTPUT;

	record->stream = STREAM_STDOUT;
	record->bytes = 0xfffffff0;
	comm()->output_used = 64;
	(void)host_call(HOST_FLUSH, 0, 0, 0);
}

static void bad_calls(void)
{
	static const uint64_t ranges[][2] = {{0, 16},
					     {~UINT64_C(0) - 8, 64},
					     {GUEST_IMAGE_BASE, 16},
					     {WINDOW_MEMORY, 16},
					     {GUEST_POOL_BASE, ~UINT64_C(0)}};
	uint64_t refused = 0;

	for (uint64_t i = 0; i < 5; i++)
		refused += host_call(HOST_READ, ranges[i][0], ranges[i][1], 0) == -14;
	refused += host_call(99, 0, 0, 0) == -38;
	exit_with(EXIT_CODE, refused);
}

/* Code runs, and memory is what lies at its own address too; the snapshot has it empty. */
static void use_window(void)
{
	volatile uint64_t *memory = (volatile uint64_t *)WINDOW_MEMORY;
	const volatile uint64_t *same = (const volatile uint64_t *)GUEST_LIBRARY_RAM;
	uint64_t fine = *memory == 0;

	((void (*)(void))WINDOW_CODE)();
	*memory = 0x1234;
	fine += *same == 0x1234;
	fine += *(const volatile uint8_t *)WINDOW_DATA == 0xc3;
	exit_with(EXIT_CODE, fine);
}

#define NO_MEMORY UINT64_C(0x1f0000000)

/* mov $NO_MEMORY,%rax; pcmpeqb (%rax),%xmm0: nothing that KVM can emulate */
static const uint8_t vector_code[] = {0x48, 0xb8, 0, 0, 0, 0xf0, 1, 0, 0, 0, 0x66, 0x0f, 0x74, 0};
static const uint8_t spin_code[] = {0xeb, 0xfe};                               /* jmp . */
static const uint8_t ud_code[] = {0x0f, 0x0b};                                 /* ud2 */
static const uint8_t null_code[] = {0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0};    /* mov 0x10,%rax */
static const uint8_t call_code[] = {0xb8, 7, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b}; /* syscall 7 */
static const uint8_t cli_code[] = {0xfa, 0xf4, 0xeb, 0xfe};                    /* cli; hlt */
static const uint8_t port_code[] = {0xe6, 0x70, 0xeb, 0xfe};                   /* out %al, $0x70 */

static struct guest_registers *obey(uint8_t letter)
{
	switch (letter) {
	case 'o': emit(STREAM_STDOUT, "hello", 5); break;
	case 'f': flood(); break;
	case 'L': lie_about_output(); break;
	case 'p': touch(GUEST_POOL_BASE + (UINT64_C(1) << 20), FAR_PAGES); break;
	case 'h': touch(MEMORY_FAR, FAR_PAGES); break;
	case 'k':
		(void)host_call(HOST_TIMER, 1000000, 1000000, 0);
		return run_user(spin_code, sizeof(spin_code));
	case 's': return run_user(spin_code, sizeof(spin_code));
	case 'u': return run_user(ud_code, sizeof(ud_code));
	case 'n': return run_user(null_code, sizeof(null_code));
	case 'c': return run_user(call_code, sizeof(call_code));
	case 'x': return run_user(cli_code, sizeof(cli_code));
	case 'P': return run_user(port_code, sizeof(port_code));
	case 'i': *(volatile uint64_t *)GUEST_IMAGE_BASE = 1; break;
	case 'm': *(volatile uint64_t *)NO_MEMORY = 1; break;
	case 'v': return run_user(vector_code, sizeof(vector_code));
	case 'j': ((void (*)(void))NO_MEMORY)(); break;
	case 'y': use_window(); break;
	case 'T': *(volatile uint64_t *)WINDOW_CODE = 1; break;
	case 'z': *(volatile uint64_t *)WINDOW_DATA = 1; break;
	case 'G': *(volatile uint64_t *)WINDOW_NOTHING = 1; break;
	case 'X': ((void (*)(void))WINDOW_DATA)(); break;
	case 'Y':
		*(uint8_t *)WINDOW_MEMORY = 0xc3;
		((void (*)(void))WINDOW_MEMORY)();
		break;
	case 'd': *(volatile uint64_t *)(GUEST_POOL_BASE - 8) = 1; break;
	case 't': *(volatile uint64_t *)GUEST_KERNEL_BASE = 1; break;
	case 'w': (void)host_call(HOST_WAIT, UINT64_MAX, 0, 0); break;
	case 'W': (void)host_call(HOST_WAIT, 20000000, 0, 0); break;
	case 'b': bad_calls(); break;
	case 'g': exit_with(EXIT_SIGNAL, 11); break;
	case 'q': (void)host_call(HOST_PANIC, (uint64_t) "lost", 4, 0); break;
	default: break;
	}
	exit_with(EXIT_CODE, 0);
	return &frame;
}

struct guest_registers *kernel_boot(void)
{
	current_frame_end = (uint64_t)(&frame + 1);
	touch(GUEST_POOL_BASE, 16);
	(void)host_call(HOST_READ, (uint64_t)buffer, sizeof(buffer), 0);
	return obey(buffer[64]);
}

/* The system call of call_code: its number tells that the way in kept the registers. */
struct guest_registers *kernel_syscall(struct guest_registers *regs)
{
	exit_with(EXIT_CODE, regs->rax + 100);
	return regs;
}

struct guest_registers *kernel_trap(struct guest_registers *regs)
{
	if (comm()->trap.vector != TRAP_KICK)
		exit_with(EXIT_SIGNAL, comm()->trap.vector == 6 ? 4 : 11);
	if (++ticks == 5)
		exit_with(EXIT_CODE, 55);
	return regs;
}

void kernel_collect(void)
{
	const struct file_record record = {.mode = 0100644, .name_bytes = 1, .data_bytes = 2};

	emit(STREAM_FILES, (const char *)&record, sizeof(record));
	emit(STREAM_FILES, "aok", 3);
	exit_with(EXIT_CODE, 0);
	for (;;)
		;
}
