/*
 * What must end a worker rather than be set back, and what a guest that owns ring 0 still cannot do.
 * The vCPU is put into ring 0 by the test: on an ordinary KVM a guest gets there by itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fixture.h"

#define CODE (GUEST_POOL_BASE + 0x10000)
#define STACK (GUEST_POOL_BASE + 0x20000)
#define DONE_PORT 0x70u
#define GIVE_UP_US 300000
#define GENERAL_PROTECTION 13u
#define KERNEL_GS_BASE 0xc0000102u
#define KVM_HYPERCALL_NOT_THERE (-1000)

static void change_and_expect_the_end(struct fixture *fixture, void *field, size_t bytes)
{
	struct kvm_sregs saved = fixture->worker.machine.run->s.regs.sregs;

	((uint8_t *)field)[bytes - 1] ^= 0x10;
	assert_int_equal(worker_reset(&fixture->worker), -1);
	fixture->worker.machine.run->s.regs.sregs = saved;
	assert_int_equal(worker_reset(&fixture->worker), 0);
}

static void changed_control_state_ends_a_worker(void **state)
{
	struct fixture *fixture = *state;
	struct kvm_sregs *now = &fixture->worker.machine.run->s.regs.sregs;

#define CHANGE(field) change_and_expect_the_end(fixture, &now->field, sizeof(now->field))
	CHANGE(cr0);
	CHANGE(cr3);
	CHANGE(cr4);
	CHANGE(efer);
	CHANGE(apic_base);
	CHANGE(gdt.base);
	CHANGE(gdt.limit);
	CHANGE(idt.base);
	CHANGE(idt.limit);
	CHANGE(tr.base);
	CHANGE(tr.selector);
	CHANGE(ldt.selector);
}

static int set_msr(const struct fixture *fixture, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = {{.nmsrs = 1}, {.index = index, .data = value}};

	return ioctl(fixture->worker.machine.vcpu_fd, KVM_SET_MSRS, &list);
}

static void a_changed_msr_ends_a_worker(void **state)
{
	struct fixture *fixture = *state;
	const struct machine_state *then = &fixture->snapshot.header.state;

	assert_true(then->msr_count > 4);
	for (uint32_t i = 0; i < then->msr_count; i++) {
		const struct kvm_msr_entry *msr = &then->msrs[i];

		if (set_msr(fixture, msr->index, msr->data ^ 0x1000) != 1)
			continue; /* this KVM does not take that value */
		assert_int_equal(worker_reset(&fixture->worker), -1);
		assert_int_equal(set_msr(fixture, msr->index, msr->data), 1);
		assert_int_equal(worker_reset(&fixture->worker), 0);
	}
	assert_int_equal(set_msr(fixture, KERNEL_GS_BASE, 0x123000), 1);
	assert_int_equal(worker_reset(&fixture->worker), -1);
	assert_int_equal(set_msr(fixture, KERNEL_GS_BASE, 0), 1);
	assert_int_equal(worker_reset(&fixture->worker), 0);
}

static void machine_that_kvm_gave_up_ends_its_worker(void **state)
{
	struct fixture *fixture = *state;
	struct worker *worker = &fixture->worker;
	struct vm_command command = {.type = VM_START,
				     .start_us = run_clock_ns() / 1000,
				     .request_bytes = 1,
				     .limits = worker->limits};
	int vcpu = worker->machine.vcpu_fd;

	/* KVM_RUN on what is no vCPU fails as it does where KVM cannot go on. */
	worker->machine.vcpu_fd = worker->machine.vm_fd;
	worker->inbox_start = 0;
	worker->inbox_end = 1;
	assert_int_equal(execution_start(worker, &command), -1);
	worker->machine.vcpu_fd = vcpu;
	assert_int_equal(worker_reset(worker), 0);
}

/* Runs code in ring 0. True: it stopped the vCPU at a port; false: it was still at it later on. */
static bool run_in_ring_0(struct fixture *fixture, const uint8_t *code, size_t bytes,
			  struct kvm_regs regs)
{
	struct machine *machine = &fixture->worker.machine;
	struct kvm_run *run = machine->run;
	int rc;

	assert_int_equal(worker_reset(&fixture->worker), 0);
	assert_true(memory_write(&fixture->worker.memory, CODE, code, bytes));
	regs.rip = CODE;
	regs.rsp = STACK;
	regs.rflags = 2;
	run->s.regs.regs = regs;
	run->s.regs.sregs.cs.selector = 0x10;
	run->s.regs.sregs.cs.dpl = 0;
	run->s.regs.sregs.ss.selector = 0x18;
	run->s.regs.sregs.ss.dpl = 0;
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	(void)ualarm(GIVE_UP_US, 0);
	rc = ioctl(machine->vcpu_fd, KVM_RUN, 0);
	(void)ualarm(0, 0);
	if (rc < 0) {
		assert_int_equal(errno, EINTR);
		return false;
	}
	assert_int_equal(run->exit_reason, KVM_EXIT_IO);
	return true;
}

static bool raised_protection_fault(const struct fixture *fixture)
{
	const struct kvm_run *run = fixture->worker.machine.run;
	uint64_t vector = (run->s.regs.regs.rip - MACHINE_STUBS) / MACHINE_STUB_BYTES;

	return run->io.port == EXCEPTION_PORT && vector == GENERAL_PROTECTION;
}

static void test_ring_0_is_ring_0(struct fixture *fixture)
{
	static const uint8_t read_cr0[] = {0x0f, 0x20, 0xc0, 0xe6, DONE_PORT}; /* mov %cr0,%rax */
	const struct kvm_run *run = fixture->worker.machine.run;

	assert_true(run_in_ring_0(fixture, read_cr0, sizeof(read_cr0), (struct kvm_regs){0}));
	assert_int_equal(run->io.port, DONE_PORT);
	assert_int_equal(run->s.regs.regs.rax, fixture->snapshot.header.state.sregs.cr0);
}

/* Clocks, asynchronous page faults, PV-EOI, steal time; system call entry, APIC, speculation. */
static const uint32_t refused_msrs[] = {
	0x11,       0x12,       0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04,
	0x4b564d05, 0x4b564d06, 0x4b564d07, 0x4b564d08, 0x40000000, 0x40000020, 0x10,
	0x1b,       0x48,       0x49,       0x8b,       0x174,      0x176,      0x1a0,
	0x1d9,      0x277,      0x2ff,      0x345,      0x600,      0x6e0,      0x802,
	0x830,      0xda0,      0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100,
	0xc0000102, 0xc0000103, 0xc0010015, 0xc0010117, 0xc0011029,
};

static void no_msr_can_be_read_or_written(void **state)
{
	static const uint8_t codes[2][4] = {{0x0f, 0x32, 0xe6, DONE_PORT},  /* rdmsr */
					    {0x0f, 0x30, 0xe6, DONE_PORT}}; /* wrmsr */
	struct fixture *fixture = *state;

	test_ring_0_is_ring_0(fixture);
	for (size_t i = 0; i < sizeof(refused_msrs) / sizeof(refused_msrs[0]); i++) {
		for (size_t write = 0; write < 2; write++) {
			bool stopped = run_in_ring_0(fixture, codes[write], sizeof(codes[write]),
						     (struct kvm_regs){.rcx = refused_msrs[i]});

			if (!stopped || !raised_protection_fault(fixture))
				fail_msg("%s of MSR %#x is possible", write ? "a write" : "a read",
					 refused_msrs[i]);
		}
	}
	assert_int_equal(worker_reset(&fixture->worker), 0);
}

/* Those that a guest of KVM may make without having been told of them would answer 0 or more. The
 * other maker's instruction may be replaced by KVM for ever: the guest hangs itself, no more. */
static void no_hypercall_is_answered(void **state)
{
	static const uint8_t calls[2][5] = {{0x0f, 0x01, 0xc1, 0xe6, DONE_PORT},  /* vmcall */
					    {0x0f, 0x01, 0xd9, 0xe6, DONE_PORT}}; /* vmmcall */
	/* Kick, send IPI, yield, map range. The one for the clock (9) no feature allows or forbids: it
	 * gives the time, into the guest's own memory. */
	static const uint64_t numbers[] = {5, 10, 11, 12};
	struct fixture *fixture = *state;
	const struct kvm_run *run = fixture->worker.machine.run;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		for (size_t kind = 0; kind < 2; kind++) {
			bool stopped = run_in_ring_0(fixture, calls[kind], sizeof(calls[kind]),
						     (struct kvm_regs){.rax = numbers[i]});

			if (stopped && run->io.port == DONE_PORT)
				assert_int_equal((int64_t)run->s.regs.regs.rax,
						 KVM_HYPERCALL_NOT_THERE);
		}
	}
	assert_int_equal(worker_reset(&fixture->worker), 0);
}

/* In ring 0, where every KVM answers with what it was told to. */
static void cpuid_has_no_paravirtual_leaf(void **state)
{
	static const uint8_t code[] = {0x0f, 0xa2, 0xe6, DONE_PORT};
	struct fixture *fixture = *state;
	const struct kvm_regs *regs = &fixture->worker.machine.run->s.regs.regs;

	assert_true(
		run_in_ring_0(fixture, code, sizeof(code), (struct kvm_regs){.rax = 0x40000000}));
	assert_int_not_equal(regs->rbx, 0x4b4d564b); /* "KVMK" */
	assert_true(
		run_in_ring_0(fixture, code, sizeof(code), (struct kvm_regs){.rax = 0x40000001}));
	assert_int_equal(regs->rax & 0xffff, 0);
	assert_int_equal(worker_reset(&fixture->worker), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_control_state_ends_a_worker),
		cmocka_unit_test(a_changed_msr_ends_a_worker),
		cmocka_unit_test(machine_that_kvm_gave_up_ends_its_worker),
		cmocka_unit_test(no_msr_can_be_read_or_written),
		cmocka_unit_test(no_hypercall_is_answered),
		cmocka_unit_test(cpuid_has_no_paravirtual_leaf),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return 77;
	return cmocka_run_group_tests(tests, fixture_set_up, NULL);
}
