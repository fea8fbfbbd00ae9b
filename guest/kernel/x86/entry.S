/*
 * The ways into and out of the guest kernel (see ../abi.h and kernel.h). All of it runs in user
 * pages: in ring 3 where KVM emulates ring 0, in ring 0 after `syscall` on an ordinary KVM. Hence
 * no swapgs, no sysret: the stack is switched by a variable, the return is iretq, which both know.
 * Trust boundary: none. A guest that spoils these bytes spoils itself.
 */
#include "offsets.h"

	.section .header, "a"
	.globl kernel_header
kernel_header:
	.quad KERNEL_HEADER_MAGIC
	.quad GUEST_ABI_VERSION
	.quad boot_entry
	.quad boot_stack_top
	.quad syscall_entry
	.quad trap_entry
	.quad collect_entry
	.quad kernel_text_start
	.quad kernel_text_end

	.text
/* The VMM has set rsp to boot_stack_top. */
boot_entry:
	xor %ebp, %ebp
	cld
	call kernel_boot
	ud2

collect_entry:
	lea boot_stack_top(%rip), %rsp
	xor %ebp, %ebp
	cld
	call kernel_collect
	ud2

	.macro PUSH_REGISTERS
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	.endm

	.macro POP_REGISTERS
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	.endm

/* rcx: user's rip, r11: user's rflags. One vCPU and no interrupts: a variable can hold rsp. */
	.balign 16
syscall_entry:
	mov %rsp, user_stack(%rip)
	mov current_kernel_stack(%rip), %rsp
	push $GUEST_USER_SS
	push user_stack(%rip)
	push %r11
	push $GUEST_USER_CS
	push %rcx
	push %rax
	PUSH_REGISTERS
	mov %rsp, %rdi
	xor %ebp, %ebp
	sub $8, %rsp		/* the call wants 16-byte alignment */
	cld
	call kernel_syscall
	add $8, %rsp
restore_all:
	POP_REGISTERS
	add $8, %rsp
	iretq

	.globl return_to_user
return_to_user:
	mov %rdi, %rsp
	jmp restore_all

/* The VMM has put the interrupted registers into comm.trap and changed rip only. */
trap_entry:
	mov current_kernel_stack(%rip), %rsp
	sub $REGISTERS_BYTES, %rsp
	mov $(GUEST_COMM + COMM_TRAP_REGISTERS), %rsi
	mov %rsp, %rdi
	mov $(REGISTERS_BYTES / 8), %ecx
	cld
	rep movsq
	mov %rsp, %rdi
	xor %ebp, %ebp
	sub $8, %rsp
	call kernel_trap
	add $8, %rsp
	jmp restore_all

/* switch_stack(save, to) */
	.globl switch_stack
switch_stack:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/* new_stack(top, entry, argument): as if it had called switch_stack at its very beginning. */
	.globl new_stack
new_stack:
	lea start_thread(%rip), %rax
	mov %rax, -16(%rdi)
	mov %rsi, -24(%rdi)	/* rbx */
	movq $0, -32(%rdi)	/* rbp */
	mov %rdx, -40(%rdi)	/* r12 */
	movq $0, -48(%rdi)
	movq $0, -56(%rdi)
	movq $0, -64(%rdi)
	lea -64(%rdi), %rax
	ret

start_thread:
	mov %r12, %rdi
	and $-16, %rsp
	call *%rbx
	ud2

/* host_call(number, a, b, c). rcx tells the VMM where to go on. */
	.globl host_call
host_call:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	lea 1f(%rip), %rcx
	out %al, $HOST_CALL_PORT
1:	ret

	.bss
	.balign 16
	.globl current_kernel_stack
current_kernel_stack:
	.quad 0
user_stack:
	.quad 0
	.balign 4096
	.skip 65536
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
