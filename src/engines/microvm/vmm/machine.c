/*
 * Theory of operation: a machine without devices, interrupt controller or firmware: memory slots
 * and a vCPU. What KVM could offer beyond that is not asked for: the paravirtual leaves are taken
 * out of CPUID and enforced off, every model-specific register is refused by a filter. The state
 * that a restore must bring back is read and set as a whole.
 * Trust boundary: the guest is hostile from its first instruction. Control registers, descriptor
 * tables and task register never change in a guest of ours; one where they have is not restored but
 * thrown away.
 */
#include "machine.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"

#define CR4_FSGSBASE 0x10000u
#define CR4_OSXSAVE 0x40000u
#define XCR0_WANTED 0xe7u /* x87, SSE, AVX, AVX-512 */
#define PARAVIRTUAL_LEAVES 0x40000000u
#define IMAGE_SLOT MEMORY_SLOTS

static const struct {
	unsigned long number;
	const char *name;
} capabilities[] = {
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
	{KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
	{KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER"},
	{KVM_CAP_ENFORCE_PV_FEATURE_CPUID, "KVM_CAP_ENFORCE_PV_FEATURE_CPUID"},
	{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2"},
};

int machine_check_kvm(int kvm_fd, struct psb_error *err)
{
	if (ioctl(kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"vmm: /dev/kvm speaks another version of its interface");
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, capabilities[i].number) <= 0)
			return psb_fail(err, PSB_E_UNSUPPORTED, 0,
					"vmm: this KVM lacks %s: Linux 5.10 or newer is needed",
					capabilities[i].name);
	return 0;
}

static int kvm_fail(const char *what, struct psb_error *err)
{
	return psb_fail(err, PSB_E_ENGINE, errno, "vmm: %s: %s", what, strerror(errno));
}

static int enable(int vm_fd, uint32_t capability, uint64_t argument, const char *what,
		  struct psb_error *err)
{
	const struct kvm_enable_cap cap = {.cap = capability, .args = {argument}};

	if (ioctl(vm_fd, KVM_CHECK_EXTENSION, capability) <= 0) {
		errno = ENOTSUP;
		return kvm_fail(what, err);
	}
	return ioctl(vm_fd, KVM_ENABLE_CAP, &cap) < 0 ? kvm_fail(what, err) : 0;
}

/* No range: every access by the guest is an exception in it. */
static int refuse_msrs(int vm_fd, struct psb_error *err)
{
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_DENY};
	uint64_t none = 0;

	filter.ranges[0] = (struct kvm_msr_filter_range){
		.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
		.base = 0xfffffff0,
		.nmsrs = 1,
		.bitmap = (uint8_t *)&none,
	};
	if (ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter) < 0)
		return kvm_fail("KVM_X86_SET_MSR_FILTER", err);
	return 0;
}

static int set_slot(const struct machine *machine, uint32_t index, uint64_t start, uint64_t bytes,
		    const void *host, uint32_t flags, struct psb_error *err)
{
	const struct kvm_userspace_memory_region region = {
		.slot = index,
		.flags = flags,
		.guest_phys_addr = start,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return kvm_fail("KVM_SET_USER_MEMORY_REGION", err);
	return 0;
}

static uint32_t flags_of(const struct memory *memory, const struct memory_slot *slot)
{
	if (slot->read_only)
		return KVM_MEM_READONLY;
	return memory->tracked ? (uint32_t)KVM_MEM_LOG_DIRTY_PAGES : 0u;
}

static int set_slots(const struct machine *machine, struct psb_error *err)
{
	const struct memory *memory = machine->memory;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < memory->slot_count; i++) {
		const struct memory_slot *slot = &memory->slots[i];

		rc = set_slot(machine, i, slot->start, slot->bytes, memory->ram + slot->start,
			      flags_of(memory, slot), err);
	}
	if (rc == 0 && memory->image_bytes > 0)
		rc = set_slot(machine, IMAGE_SLOT, GUEST_IMAGE_BASE, memory->image_bytes,
			      memory->image, KVM_MEM_READONLY, err);
	return rc;
}

/* What the emulator does not know is then told (run.c), instead of an invalid opcode in the guest.
 * Before Linux 5.18 it stays that. */
static void hear_of_emulation_failures(int vm_fd)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = {1}};

	(void)ioctl(vm_fd, KVM_ENABLE_CAP, &cap);
}

static int make_vm(struct machine *machine, int kvm_fd, struct psb_error *err)
{
	int rc;

	machine->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (machine->vm_fd < 0)
		return kvm_fail("KVM_CREATE_VM", err);
	(void)fcntl(machine->vm_fd, F_SETFD, FD_CLOEXEC);
	hear_of_emulation_failures(machine->vm_fd);
	rc = refuse_msrs(machine->vm_fd, err);
	if (rc == 0)
		rc = enable(machine->vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			    KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE, "manual dirty log", err);
	return rc < 0 ? rc : set_slots(machine, err);
}

static bool is_paravirtual(const struct kvm_cpuid_entry2 *entry)
{
	return (entry->function & 0xff000000) == PARAVIRTUAL_LEAVES;
}

int machine_ask_features(int kvm_fd, struct machine_features *features, struct psb_error *err)
{
	auto_free struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + MACHINE_MAX_CPUID * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return psb_fail(err, PSB_E_MEMORY, 0, "vmm: out of memory");
	cpuid->nent = MACHINE_MAX_CPUID;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return kvm_fail("KVM_GET_SUPPORTED_CPUID", err);
	features->count = 0;
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (!is_paravirtual(&cpuid->entries[i]))
			features->entries[features->count++] = cpuid->entries[i];
	return 0;
}

static const struct kvm_cpuid_entry2 *find_leaf(const struct machine_features *features,
						uint32_t function)
{
	for (uint32_t i = 0; i < features->count; i++)
		if (features->entries[i].function == function && features->entries[i].index == 0)
			return &features->entries[i];
	return NULL;
}

/* What a KVM that runs ring 3 natively does not list, the guest sees of the real processor. */
static void note_features(struct machine *machine, const struct machine_features *features)
{
	const struct kvm_cpuid_entry2 *basic = find_leaf(features, 1);
	const struct kvm_cpuid_entry2 *more = find_leaf(features, 7);
	const struct kvm_cpuid_entry2 *state = find_leaf(features, 0xd);

	if (more && (more->ebx & 1))
		machine->cr4_features |= CR4_FSGSBASE;
	if (basic && (basic->ecx & bit_XSAVE) && state) {
		machine->cr4_features |= CR4_OSXSAVE;
		machine->xcr0 = state->eax & XCR0_WANTED;
	}
}

/* Whatever a file says: no paravirtual leaf gets through. */
static int set_cpuid(const struct machine *machine, const struct machine_features *features,
		     struct psb_error *err)
{
	size_t bytes = features->count * sizeof(features->entries[0]);
	auto_free struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + bytes);

	if (!cpuid)
		return psb_fail(err, PSB_E_MEMORY, 0, "vmm: out of memory");
	for (uint32_t i = 0; i < features->count; i++)
		if (!is_paravirtual(&features->entries[i]))
			cpuid->entries[cpuid->nent++] = features->entries[i];
	if (ioctl(machine->vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		return kvm_fail("KVM_SET_CPUID2", err);
	return 0;
}

static int make_vcpu(struct machine *machine, const struct machine_features *features,
		     struct psb_error *err)
{
	const struct kvm_enable_cap enforce = {.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
					       .args = {1}};

	note_features(machine, features);
	machine->vcpu_fd = ioctl(machine->vm_fd, KVM_CREATE_VCPU, 0);
	if (machine->vcpu_fd < 0)
		return kvm_fail("KVM_CREATE_VCPU", err);
	(void)fcntl(machine->vcpu_fd, F_SETFD, FD_CLOEXEC);
	if (set_cpuid(machine, features, err) < 0)
		return -1;
	if (ioctl(machine->vcpu_fd, KVM_ENABLE_CAP, &enforce) < 0)
		return kvm_fail("KVM_CAP_ENFORCE_PV_FEATURE_CPUID", err);
	return 0;
}

static int map_run(struct machine *machine, int kvm_fd, struct psb_error *err)
{
	int bytes = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int xsave = ioctl(machine->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	int sync = ioctl(machine->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
	const int wanted = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;

	if (bytes < (int)sizeof(struct kvm_run) || (sync & wanted) != wanted)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"vmm: this KVM lacks KVM_CAP_SYNC_REGS; Linux 5.10 or newer is "
				"needed");
	machine->xsave_bytes = xsave > 4096 ? (size_t)xsave : 4096;
	if (machine->xsave_bytes > MACHINE_XSAVE_BYTES)
		return psb_fail(err, PSB_E_UNSUPPORTED, 0,
				"vmm: the vCPU's extended state has %zu bytes, at most %u",
				machine->xsave_bytes, MACHINE_XSAVE_BYTES);
	machine->run_bytes = (size_t)bytes;
	machine->run = mmap(NULL, machine->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			    machine->vcpu_fd, 0);
	if (machine->run == MAP_FAILED)
		return kvm_fail("map the vCPU", err);
	machine->run->kvm_valid_regs = (uint64_t)wanted;
	return 0;
}

int machine_open(struct machine *machine, int kvm_fd, struct memory *memory,
		 const struct machine_features *features, struct psb_error *err)
{
	int rc;

	*machine =
		(struct machine){.vm_fd = -1, .vcpu_fd = -1, .run = MAP_FAILED, .memory = memory};
	if (!memory_read(memory, GUEST_KERNEL_IMAGE, &machine->kernel, sizeof(machine->kernel)))
		return psb_fail(err, PSB_E_ENGINE, 0, "vmm: there is no guest kernel");
	rc = make_vm(machine, kvm_fd, err);
	if (rc == 0)
		rc = make_vcpu(machine, features, err);
	if (rc == 0)
		rc = map_run(machine, kvm_fd, err);
	if (rc < 0)
		machine_close(machine);
	return rc;
}

void machine_close(struct machine *machine)
{
	if (machine->run != MAP_FAILED)
		(void)munmap(machine->run, machine->run_bytes);
	machine->run = MAP_FAILED;
	close_fd(&machine->vcpu_fd);
	close_fd(&machine->vm_fd);
}

static int get_msrs(struct machine *machine, struct machine_state *state)
{
	static const uint32_t wanted[] = {0xc0000081, 0xc0000082, 0xc0000083,
					  0xc0000084, 0xc0000102, 0x174,
					  0x175,      0x176,      0x277};
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[MACHINE_MAX_MSRS];
	} list = {.head = {.nmsrs = 1}};

	state->msr_count = 0;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		list.entries[0] = (struct kvm_msr_entry){.index = wanted[i]};
		if (ioctl(machine->vcpu_fd, KVM_GET_MSRS, &list) == 1)
			state->msrs[state->msr_count++] = list.entries[0];
	}
	return 0;
}

int machine_get_state(struct machine *machine, struct machine_state *state, struct psb_error *err)
{
	int fd = machine->vcpu_fd;
	unsigned long get_xsave = machine->xsave_bytes > 4096 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;

	machine_settle(machine);
	if (ioctl(fd, KVM_GET_REGS, &state->regs) < 0 ||
	    ioctl(fd, KVM_GET_SREGS, &state->sregs) < 0 ||
	    ioctl(fd, KVM_GET_VCPU_EVENTS, &state->events) < 0 ||
	    ioctl(fd, KVM_GET_DEBUGREGS, &state->debug) < 0 ||
	    ioctl(fd, get_xsave, state->xsave) < 0)
		return kvm_fail("read the vCPU's state", err);
	if (machine->xcr0 && ioctl(fd, KVM_GET_XCRS, &state->xcrs) < 0)
		return kvm_fail("KVM_GET_XCRS", err);
	return get_msrs(machine, state);
}

static int set_msrs(const struct machine *machine, const struct machine_state *state)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[MACHINE_MAX_MSRS];
	} list = {.head = {.nmsrs = state->msr_count}};

	if (state->msr_count > MACHINE_MAX_MSRS)
		return -1;
	memcpy(list.entries, state->msrs, state->msr_count * sizeof(list.entries[0]));
	return ioctl(machine->vcpu_fd, KVM_SET_MSRS, &list) == (int)state->msr_count ? 0 : -1;
}

int machine_set_state(struct machine *machine, const struct machine_state *state,
		      struct psb_error *err)
{
	int fd = machine->vcpu_fd;

	if (ioctl(fd, KVM_SET_SREGS, &state->sregs) < 0)
		return kvm_fail("KVM_SET_SREGS", err);
	if (machine->xcr0 && ioctl(fd, KVM_SET_XCRS, &state->xcrs) < 0)
		return kvm_fail("KVM_SET_XCRS", err);
	if (set_msrs(machine, state) < 0)
		return kvm_fail("KVM_SET_MSRS", err);
	if (ioctl(fd, KVM_SET_XSAVE, state->xsave) < 0 ||
	    ioctl(fd, KVM_SET_DEBUGREGS, &state->debug) < 0 ||
	    ioctl(fd, KVM_SET_VCPU_EVENTS, &state->events) < 0 ||
	    ioctl(fd, KVM_SET_REGS, &state->regs) < 0)
		return kvm_fail("set the vCPU's state", err);
	machine->run->s.regs.regs = state->regs;
	machine->run->s.regs.sregs = state->sregs;
	machine->run->s.regs.events = state->events;
	return 0;
}

/* The filter refuses every register, so none of ours can have changed: one that has ends the worker
 * just as a control register does. */
static bool same_msrs(const struct machine *machine, const struct machine_state *state)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[MACHINE_MAX_MSRS];
	} list = {.head = {.nmsrs = state->msr_count}};

	if (state->msr_count > MACHINE_MAX_MSRS)
		return false;
	for (uint32_t i = 0; i < state->msr_count; i++)
		list.entries[i].index = state->msrs[i].index;
	if (ioctl(machine->vcpu_fd, KVM_GET_MSRS, &list) != (int)state->msr_count)
		return false;
	for (uint32_t i = 0; i < state->msr_count; i++)
		if (list.entries[i].data != state->msrs[i].data)
			return false;
	return true;
}

/* Which parts of the processor's state there are is a guest's own where KVM lets it have XCR0. */
static bool same_xcr0(const struct machine *machine, const struct machine_state *state)
{
	struct kvm_xcrs now;

	if (!machine->xcr0)
		return true;
	return ioctl(machine->vcpu_fd, KVM_GET_XCRS, &now) == 0 && now.nr_xcrs == 1 &&
	       state->xcrs.nr_xcrs == 1 && now.xcrs[0].value == state->xcrs.xcrs[0].value;
}

static bool same_table(const struct kvm_dtable *a, const struct kvm_dtable *b)
{
	return a->base == b->base && a->limit == b->limit;
}

static bool same_segment(const struct kvm_segment *a, const struct kvm_segment *b)
{
	return a->base == b->base && a->limit == b->limit && a->selector == b->selector &&
	       a->type == b->type && a->present == b->present;
}

/* The processor marks a task segment busy and a null one unusable; we compare what loads. */
static bool is_untouched(const struct kvm_sregs *now, const struct kvm_sregs *then)
{
	return now->cr0 == then->cr0 && now->cr3 == then->cr3 && now->cr4 == then->cr4 &&
	       now->efer == then->efer && now->apic_base == then->apic_base &&
	       same_table(&now->gdt, &then->gdt) && same_table(&now->idt, &then->idt) &&
	       same_segment(&now->tr, &then->tr) && now->ldt.selector == then->ldt.selector;
}

/* KVM has just told what they are: what is right already it need not set, which takes a while. */
static void set_registers(struct kvm_run *run, const struct machine_state *state)
{
	struct kvm_sync_regs *sync = &run->s.regs;

	run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	if (memcmp(&sync->sregs, &state->sregs, sizeof(state->sregs)) != 0)
		run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	if (memcmp(&sync->events, &state->events, sizeof(state->events)) != 0)
		run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
	sync->regs = state->regs;
	sync->sregs = state->sregs;
	sync->events = state->events;
}

int machine_restore(struct machine *machine, const struct machine_state *state)
{
	struct kvm_run *run = machine->run;

	machine_settle(machine);
	if (!is_untouched(&run->s.regs.sregs, &state->sregs) || !same_msrs(machine, state) ||
	    !same_xcr0(machine, state))
		return -1;
	if (ioctl(machine->vcpu_fd, KVM_SET_XSAVE, state->xsave) < 0 ||
	    ioctl(machine->vcpu_fd, KVM_SET_DEBUGREGS, &state->debug) < 0)
		return -1;
	set_registers(run, state);
	return 0;
}

/* A port write needs nothing more; anything else is completed by entering with immediate_exit. */
void machine_settle(struct machine *machine)
{
	struct kvm_run *run = machine->run;

	if (run->exit_reason == KVM_EXIT_UNKNOWN || run->exit_reason == KVM_EXIT_INTR ||
	    (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT))
		return;
	run->immediate_exit = 1;
	(void)ioctl(machine->vcpu_fd, KVM_RUN, 0);
	run->immediate_exit = 0;
}
