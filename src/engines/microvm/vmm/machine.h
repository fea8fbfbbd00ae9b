/*
 * One virtual machine with one vCPU: its making, its state as a whole, and running it up to the
 * next thing that the VMM has to do.
 */
#ifndef PSB_VMM_MACHINE_H
#define PSB_VMM_MACHINE_H

#include <linux/kvm.h>

#include "../../../../guest/kernel/abi.h"
#include "memory.h"

struct image_libraries;

#define MACHINE_XSAVE_BYTES 16384u
#define MACHINE_MAX_MSRS 16u
#define MACHINE_MAX_CPUID 256u

/* What the vCPU's CPUID says. */
struct machine_features {
	uint32_t count;
	uint32_t reserved;
	struct kvm_cpuid_entry2 entries[MACHINE_MAX_CPUID];
};

/* All of a vCPU. Memory apart, a machine in this state is a machine in any other of its time. */
struct machine_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_xcrs xcrs;
	uint32_t msr_count;
	uint32_t reserved;
	struct kvm_msr_entry msrs[MACHINE_MAX_MSRS];
	uint8_t xsave[MACHINE_XSAVE_BYTES];
};

struct machine {
	int vm_fd;
	int vcpu_fd;
	struct kvm_run *run;
	size_t run_bytes;
	size_t xsave_bytes; /* as KVM says; at most MACHINE_XSAVE_BYTES */
	uint64_t cr4_features;
	uint64_t xcr0; /* 0: KVM does not let the guest have its own */
	struct kernel_header kernel;
	struct memory *memory;
};

/* All that KVM supports but the paravirtual. Takes a third of a millisecond in a nested machine. */
int machine_ask_features(int kvm_fd, struct machine_features *features, struct psb_error *err);
/* Whether it has all that is needed here; says what it lacks. */
int machine_check_kvm(int kvm_fd, struct psb_error *err);

/* kvm_fd may be closed afterwards. */
int machine_open(struct machine *machine, int kvm_fd, struct memory *memory,
		 const struct machine_features *features, struct psb_error *err);
void machine_close(struct machine *machine);

/* tables.c: page and descriptor tables, exception stubs; only while booting. `libraries` of the
 * image were checked. */
int machine_write_tables(struct memory *memory, const struct image_libraries *libraries,
			 struct psb_error *err);
/* Large pages that no execution may write; once nothing runs in them any more. */
void machine_protect_text(struct memory *memory, uint64_t start, uint64_t end);
/* The vCPU as it begins at kernel.boot_entry. */
int machine_set_boot_state(struct machine *machine, struct psb_error *err);

int machine_get_state(struct machine *machine, struct machine_state *state, struct psb_error *err);
/* The whole state, by ioctls: after the making of a machine. */
int machine_set_state(struct machine *machine, const struct machine_state *state,
		      struct psb_error *err);
/* The state that an execution may have changed. -1: something changed that it may not. */
int machine_restore(struct machine *machine, const struct machine_state *state);

/* Restarts the vCPU in ring 3 at `rip` with the rest of the registers as they are. */
void machine_enter_user(struct machine *machine, uint64_t rip, uint64_t rsp);
/* Completes what the last exit left half-done, so that registers may be set. */
void machine_settle(struct machine *machine);

#define MACHINE_STUBS (GUEST_KERNEL_BASE + 0x20000)
#define MACHINE_STUB_BYTES 16u
#define MACHINE_TABLES_OFFSET 0x0u

#endif
