/*
 * The frame of a signal handler, laid out as Linux does on x86-64: the handler, and sigreturn, find
 * everything where the C library expects it.
 *
 *   (low)  return address = sa_restorer | ucontext | siginfo | … | FPU state (64-byte aligned)
 *
 * Trust boundary: the frame is on the program's stack and comes back as the program left it. All
 * registers are the program's to choose; the segments and the flags that matter to the kernel are
 * not taken from it. FPU state that the processor refuses ends the run as a crash.
 */
#include "syscalls.h"

#define RED_ZONE 128u
#define USER_FLAGS 0x44dd5u /* carry … overflow, direction, trap, nested, alignment check */
#define FLAGS_ALWAYS 0x202u

struct user_context {
	uint64_t flags;
	uint64_t link;
	struct signal_stack stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
	uint64_t rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error;
	uint64_t vector;
	uint64_t old_mask;
	uint64_t address;
	uint64_t fpu;
	uint64_t reserved[8];
	uint64_t mask;
};

struct user_info {
	int32_t number;
	int32_t error;
	int32_t code;
	int32_t pad;
	uint64_t address_or_pid; /* si_addr, or si_pid and si_uid */
	uint64_t rest[13];
};

struct frame {
	uint64_t return_address;
	struct user_context context;
	struct user_info info;
};

_Static_assert(offsetof(struct user_context, r8) == 40, "Linux ABI");
_Static_assert(offsetof(struct user_context, fpu) == 224, "Linux ABI");
_Static_assert(offsetof(struct user_context, mask) == 296, "Linux ABI");
_Static_assert(sizeof(struct user_info) == 128, "Linux ABI");

static void fill_context(struct user_context *context, const struct guest_registers *regs)
{
	context->r8 = regs->r8;
	context->r9 = regs->r9;
	context->r10 = regs->r10;
	context->r11 = regs->r11;
	context->r12 = regs->r12;
	context->r13 = regs->r13;
	context->r14 = regs->r14;
	context->r15 = regs->r15;
	context->rdi = regs->rdi;
	context->rsi = regs->rsi;
	context->rbp = regs->rbp;
	context->rbx = regs->rbx;
	context->rdx = regs->rdx;
	context->rax = regs->rax;
	context->rcx = regs->rcx;
	context->rsp = regs->rsp;
	context->rip = regs->rip;
	context->rflags = regs->rflags;
	context->cs = GUEST_USER_CS;
	context->ss = GUEST_USER_SS;
}

static void take_context(struct guest_registers *regs, const struct user_context *context)
{
	regs->r8 = context->r8;
	regs->r9 = context->r9;
	regs->r10 = context->r10;
	regs->r11 = context->r11;
	regs->r12 = context->r12;
	regs->r13 = context->r13;
	regs->r14 = context->r14;
	regs->r15 = context->r15;
	regs->rdi = context->rdi;
	regs->rsi = context->rsi;
	regs->rbp = context->rbp;
	regs->rbx = context->rbx;
	regs->rdx = context->rdx;
	regs->rax = context->rax;
	regs->rcx = context->rcx;
	regs->rsp = context->rsp;
	regs->rip = context->rip;
	regs->rflags = (context->rflags & USER_FLAGS) | FLAGS_ALWAYS;
	regs->orig_rax = UINT64_MAX;
}

/* Where the frame's top is: below the red zone, or at the end of the alternate stack. */
static uint64_t frame_top(const struct thread *thread, const struct signal_action *action)
{
	const struct signal_stack *stack = &thread->signals.stack;
	uint64_t rsp = thread->regs.rsp;
	bool on_stack = rsp - stack->base < stack->bytes;

	if ((action->flags & LX_SA_ONSTACK) && !(stack->flags & LX_SS_DISABLE) && !on_stack)
		return stack->base + stack->bytes;
	return rsp - RED_ZONE;
}

static void fill_frame(struct frame *frame, const struct thread *thread, uint32_t number,
		       const struct signal_action *action, const struct signal_cause *cause)
{
	bool fault = cause->vector < 32 && cause->code > 0 && cause->code != LX_SI_KERNEL;

	memset(frame, 0, sizeof(*frame));
	frame->return_address = action->restorer;
	fill_context(&frame->context, &thread->regs);
	frame->context.stack = thread->signals.stack;
	frame->context.error = cause->error;
	frame->context.vector = cause->vector;
	frame->context.address = cause->address;
	frame->info.number = (int32_t)number;
	frame->info.code = cause->code;
	frame->info.address_or_pid =
		fault ? cause->address : cause->pid | (uint64_t)GUEST_UID << 32;
}

bool sigframe_push(struct kernel *kernel, uint32_t number, const struct signal_action *action,
		   const struct signal_cause *cause, uint64_t mask)
{
	struct thread *thread = kernel->current;
	uint64_t fpu_bytes = kernel->boot->xsave_bytes;
	uint64_t top = frame_top(thread, action);
	uint64_t fpu = (top - fpu_bytes) & ~UINT64_C(63);
	uint64_t at = ((fpu - sizeof(struct frame)) & ~UINT64_C(15)) - 8;
	struct frame *frame = user_range(kernel, at, top - at, LX_PROT_WRITE);

	if (top < fpu_bytes + sizeof(struct frame) + PAGE_BYTES || !frame)
		return false;
	cpu_save_fpu(memset(pointer_of(fpu), 0, fpu_bytes), kernel->boot->xsave_mask);
	fill_frame(frame, thread, number, action, cause);
	frame->context.fpu = fpu;
	frame->context.mask = mask;
	thread->regs.rsp = at;
	thread->regs.rip = action->handler;
	thread->regs.rdi = number;
	thread->regs.rsi = address_of(&frame->info);
	thread->regs.rdx = address_of(&frame->context);
	thread->regs.rax = 0;
	thread->regs.rflags = FLAGS_ALWAYS;
	thread->regs.orig_rax = UINT64_MAX;
	return true;
}

/* The handler's return has taken the return address off the stack. */
int64_t signal_return(struct kernel *kernel)
{
	struct thread *thread = kernel->current;
	struct user_context context;
	const void *fpu;

	if (user_get(kernel, &context, thread->regs.rsp, sizeof(context)))
		host_exit(kernel, EXIT_SIGNAL, LX_SIGSEGV, thread->regs.rsp);
	fpu = user_range(kernel, context.fpu, kernel->boot->xsave_bytes, LX_PROT_READ);
	if (!fpu || context.fpu % 64 != 0)
		host_exit(kernel, EXIT_SIGNAL, LX_SIGSEGV, context.fpu);
	cpu_load_fpu(fpu, kernel->boot->xsave_mask);
	take_context(&thread->regs, &context);
	thread->signals.mask = context.mask & ~(signal_bit(LX_SIGKILL) | signal_bit(LX_SIGSTOP));
	return (int64_t)context.rax;
}

int64_t sys_rt_sigreturn(struct kernel *kernel, const struct call *call)
{
	(void)call;
	return signal_return(kernel);
}
