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
	.quad kernel_stack_top
	.quad syscall_entry
	.quad trap_entry
	.quad collect_entry
	.quad kernel_text_start
	.quad kernel_text_end

	.text
/* The VMM has set rsp to kernel_stack_top. */
	.globl boot_entry
boot_entry:
	xor %ebp, %ebp
	cld
	call kernel_boot
	jmp resume

collect_entry:
	lea kernel_stack_top(%rip), %rsp
	xor %ebp, %ebp
	cld
	call kernel_collect
	ud2

/* rcx: user's rip, r11: user's rflags. One vCPU and no interrupts: a variable can hold rsp. The
 * registers are pushed into the running thread's frame. */
	.balign 16
syscall_entry:
	mov %rsp, user_stack(%rip)
	mov current_frame_end(%rip), %rsp
	push $GUEST_USER_SS
	push user_stack(%rip)
	push %r11
	push $GUEST_USER_CS
	push %rcx
	push %rax		/* orig_rax */
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
	mov %rsp, %rdi
	lea kernel_stack_top(%rip), %rsp
	xor %ebp, %ebp
	cld
	call kernel_syscall

resume:
	mov %rax, %rsp
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
	add $8, %rsp
	iretq

/* The VMM has put the interrupted registers into comm.trap and changed rip only. */
trap_entry:
	lea kernel_stack_top(%rip), %rsp
	mov $(GUEST_COMM + COMM_TRAP_REGISTERS), %esi
	mov current_frame_end(%rip), %rdi
	sub $REGISTERS_BYTES, %rdi
	mov %rdi, %rax
	mov $(REGISTERS_BYTES / 8), %ecx
	cld
	rep movsq
	mov %rax, %rdi
	xor %ebp, %ebp
	call kernel_trap
	jmp resume

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
	.balign 4096
	.skip 65536
kernel_stack_top:
user_stack:
	.quad 0
	.section .note.GNU-stack, "", @progbits
