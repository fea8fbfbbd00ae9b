/*
 * Threads: making, ending, waiting and waking.
 *
 * Trust boundary: thread numbers are the program's; they are looked up, never used as an index.
 */
#include "kernel.h"

#define FPU_ALIGN UINT64_C(64)

struct thread *thread_new(struct kernel *kernel)
{
	uint64_t fpu_bytes = kernel->boot->xsave_bytes + FPU_ALIGN;
	struct thread *thread;

	if (kernel->thread_count >= MAX_THREADS)
		return NULL;
	thread = heap_alloc(&kernel->heap, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->fpu_block = heap_alloc(&kernel->heap, fpu_bytes);
	if (!thread->fpu_block) {
		heap_free(&kernel->heap, thread, sizeof(*thread));
		return NULL;
	}
	thread->fpu =
		pointer_of((address_of(thread->fpu_block) + FPU_ALIGN - 1) & ~(FPU_ALIGN - 1));
	thread->tid = kernel->next_tid++;
	thread->signals.stack.flags = LX_SS_DISABLE;
	thread->deadline_ns = NEVER_NS;
	kernel->threads[kernel->thread_count++] = thread;
	return thread;
}

void thread_free(struct kernel *kernel, struct thread *thread)
{
	for (uint32_t i = 0; i < kernel->thread_count; i++) {
		if (kernel->threads[i] != thread)
			continue;
		kernel->thread_count--;
		memmove(&kernel->threads[i], &kernel->threads[i + 1],
			(kernel->thread_count - i) * sizeof(kernel->threads[0]));
		if (kernel->turn >= i && kernel->turn > 0)
			kernel->turn--;
		break;
	}
	if (kernel->current == thread)
		kernel->current = NULL;
	heap_free(&kernel->heap, thread->fpu_block, kernel->boot->xsave_bytes + FPU_ALIGN);
	heap_free(&kernel->heap, thread, sizeof(*thread));
}

struct thread *thread_find(struct kernel *kernel, uint64_t tid)
{
	for (uint32_t i = 0; i < kernel->thread_count; i++)
		if (kernel->threads[i]->tid == tid)
			return kernel->threads[i];
	return NULL;
}

int64_t thread_wait(struct kernel *kernel, enum wait_kind kind, uint64_t key, uint64_t deadline_ns)
{
	struct thread *thread = kernel->current;

	if (signal_waits_for(kernel, thread))
		return -RESTART;
	if (!thread->has_deadline) {
		thread->deadline_ns = deadline_ns;
		thread->has_deadline = true;
	}
	thread->wait = kind;
	thread->wait_key = key;
	thread->wait_since = ++kernel->waits;
	thread->woken = WAKE_NONE;
	thread->runnable = false;
	kernel->review_kicks = true;
	return BLOCKED;
}

int64_t thread_wait_file(struct kernel *kernel, const struct file *file)
{
	uint64_t key = address_of(file->object ? file->object : file);

	/* A timer becomes ready without anybody's notice. */
	return thread_wait(kernel, WAIT_OBJECT, key, NEVER_NS);
}

void thread_wake(struct thread *thread, enum wake_reason reason)
{
	thread->wait = WAIT_NOTHING;
	thread->woken = reason;
	thread->runnable = true;
}

void threads_notify(struct kernel *kernel, const void *object)
{
	epoll_edge(kernel, object);
	for (uint32_t i = 0; i < kernel->thread_count; i++) {
		struct thread *thread = kernel->threads[i];

		if (thread->wait == WAIT_ANY ||
		    (thread->wait == WAIT_OBJECT && thread->wait_key == address_of(object))) {
			thread_wake(thread, WAKE_EVENT);
			kernel->review_kicks = true;
		}
	}
}
