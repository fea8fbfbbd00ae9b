/*
 * The assembly's C side (entry.S). The kernel's C code provides kernel_boot, kernel_syscall,
 * kernel_trap and kernel_collect; everything else is the assembly's.
 *
 * Stacks: a thread has a kernel stack. Entering from user code, the registers are pushed as struct
 * guest_registers at the top of the stack that current_kernel_stack points to, and the C function
 * gets a pointer to them; when it returns, they are restored with iretq. A blocked thread keeps its
 * stack: switch_stack() goes from one to another. FPU and FS base are the C code's business.
 */
#ifndef PSB_KERNEL_X86_H
#define PSB_KERNEL_X86_H

#include <stdint.h>

#include "../abi.h"

/* Top (16-byte aligned) of the running thread's kernel stack: set it whenever threads change. */
extern uint64_t current_kernel_stack;

/* Provided by the C code. */
__attribute__((noreturn)) void kernel_boot(void); /* runs on a boot stack of 64 KiB */
void kernel_syscall(struct guest_registers *regs);
void kernel_trap(struct guest_registers *regs); /* more in comm.trap; FPU state untouched so far */
__attribute__((noreturn)) void kernel_collect(void); /* runs on the boot stack */

/* Leaves the kernel for the first time or after a signal frame was built: restores all. */
__attribute__((noreturn)) void return_to_user(const struct guest_registers *regs);

/* Saves the callee-saved registers and rsp in *save, continues where `to` was saved. A new stack is
 * prepared by new_stack(): the first switch to it calls entry(argument), which must not return. */
void switch_stack(uint64_t *save, uint64_t to);
uint64_t new_stack(uint64_t top, void (*entry)(void *argument), void *argument);

int64_t host_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c);

#endif
