/*
 * The assembly's C side (entry.S). The kernel's C code provides the functions below and
 * current_frame_end; everything else is the assembly's.
 *
 * There is one kernel stack (64 KiB) and the kernel is never pre-empted. Entering from user code,
 * the registers are stored in the running thread's struct guest_registers, which ends at
 * current_frame_end; the C function runs on the kernel stack and returns the registers to resume,
 * the same or another thread's. All of them are restored, by iretq. FPU and FS base are the C
 * code's business.
 */
#ifndef PSB_KERNEL_X86_H
#define PSB_KERNEL_X86_H

#include <stdint.h>

#include "../abi.h"

/* Provided by the C code. */
extern uint64_t current_frame_end; /* address behind the running thread's registers */
struct guest_registers *kernel_boot(void);
struct guest_registers *kernel_syscall(struct guest_registers *regs);
/* Vector, error code and address are in comm.trap. */
struct guest_registers *kernel_trap(struct guest_registers *regs);
__attribute__((noreturn)) void kernel_collect(void);

int64_t host_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c);

#endif
