/*
 * The VMM's host calls with a guest's registers and memory as input: a real struct memory of few
 * pages, a run page in ordinary memory, no KVM. The input is a sequence of calls: 32 bytes of
 * registers, then 64 bytes for the output area's start. Whatever comes, nothing outside of guest
 * memory is touched, every page that the VMM writes is marked, and output is what the records say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engines/microvm/vmm/hostcalls.h"
#include "fuzz.h"

#define END (GUEST_POOL_BASE + (UINT64_C(2) << 20))
#define CALL_BYTES 96u

static uint64_t put_out;

static int64_t give(void *context, uint8_t *to, uint64_t bytes)
{
	(void)context;
	if (bytes > 64)
		bytes = 64;
	memset(to, 0xa5, bytes);
	return (int64_t)bytes;
}

static int take(void *context, uint32_t stream, const uint8_t *data, uint32_t bytes)
{
	volatile uint8_t sum = 0;

	(void)context;
	(void)stream;
	if (bytes > GUEST_OUTPUT_BYTES)
		abort();
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + data[i]);
	put_out += bytes;
	return 0;
}

static int show(void *context)
{
	(void)context;
	return 0;
}

static struct memory *guest_memory(void)
{
	static struct memory memory;
	static int fd = -1;

	if (fd >= 0)
		return &memory;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)(END - GUEST_PROGRAM_BASE)) < 0 ||
	    memory_open_boot(&memory, fd, END, NULL) < 0)
		abort();
	return &memory;
}

static int one_call(struct run *run, const uint8_t *data)
{
	struct kvm_regs *regs = &run->machine->run->s.regs.regs;
	struct memory *memory = run->machine->memory;
	uint32_t used;

	memcpy(&regs->rax, data, 1);
	regs->rax = data[0] & 7u;
	memcpy(&used, data + 4, sizeof(used));
	memcpy(&regs->rdi, data + 8, 8);
	memcpy(&regs->rsi, data + 16, 8);
	memcpy(&regs->rdx, data + 24, 8);
	memcpy(memory->ram + GUEST_OUTPUT, data + 32, 64);
	memcpy(memory->ram + GUEST_COMM + offsetof(struct comm, output_used), &used, sizeof(used));
	/* Half of the pointers somewhere in memory, or nothing would ever be read or written. */
	if (data[1] & 1)
		regs->rdi = GUEST_PROGRAM_BASE + regs->rdi % (END - GUEST_PROGRAM_BASE);
	if (data[1] & 2)
		regs->rsi %= 8192;
	if (regs->rax == HOST_WAIT)
		regs->rdi = 0;
	return host_call(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kvm_run page;
	struct machine machine = {.run = &page, .memory = guest_memory()};
	struct run run = {.machine = &machine, .io = {give, take, show, NULL}};
	int end = -1;

	put_out = 0;
	for (; size >= CALL_BYTES && end < 0; size -= CALL_BYTES, data += CALL_BYTES)
		end = one_call(&run, data);
	if (end < -1 || end > RUN_BROKEN || run.panic[HOST_PANIC_MAX_BYTES] != '\0')
		abort();
	return 0;
}
