/*
 * One worker as the library sees it: two pipes and what the supervisor says of its life.
 * Trust boundary: bytes of the event pipe go to events.c only.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "ipc/fdpass.h"
#include "microvm.h"

#define READ_BYTES (64u << 10)

static int make_pipe(int *read_end, int *write_end)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	/* Where the user's share of pipe memory is used up, the pipe stays small. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, MICROVM_PIPE_BYTES);
	*read_end = ends[0];
	*write_end = ends[1];
	return 0;
}

static int tell(const struct engine_template *tmpl, uint32_t slot, uint32_t type,
		const int fds[MICROVM_PIPES])
{
	const struct vmm_request request = {
		.type = type,
		.slot = slot,
		.generation = tmpl->vms[slot].generation,
		.execution = tmpl->vms[slot].executions,
	};

	return fdpass_send(tmpl->control_fd, &request, sizeof(request), fds,
			   fds ? MICROVM_PIPES : 0);
}

static int open_pipes(struct engine_template *tmpl, uint32_t slot, int theirs[MICROVM_PIPES])
{
	struct vm *vm = &tmpl->vms[slot];
	struct epoll_event watch = {.events = EPOLLIN, .data.u32 = slot};

	if (make_pipe(&theirs[0], &vm->command_fd) < 0 || make_pipe(&vm->event_fd, &theirs[1]) < 0)
		return -1;
	vm->command_keep_fd = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
	if (vm->command_keep_fd < 0 || fcntl(vm->command_fd, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(vm->event_fd, F_SETFL, O_NONBLOCK) < 0)
		return -1;
	return epoll_ctl(tmpl->epoll_fd, EPOLL_CTL_ADD, vm->event_fd, &watch);
}

int vm_start(struct engine_template *tmpl, uint32_t slot, struct psb_error *err)
{
	struct vm *vm = &tmpl->vms[slot];
	int theirs[MICROVM_PIPES] = {-1, -1};
	int rc;

	*vm = (struct vm){.state = VM_PREPARING,
			  .generation = ++tmpl->next_generation,
			  .command_fd = -1,
			  .command_keep_fd = -1,
			  .event_fd = -1,
			  .placed = {.pidfd = -1, .processor = -1}};
	if (open_pipes(tmpl, slot, theirs) < 0)
		rc = psb_fail(err, PSB_E_SYSTEM, errno, "microvm: pipe: %s", strerror(errno));
	else
		rc = tell(tmpl, slot, VMM_PREPARE, theirs);
	if (rc < 0 && rc != PSB_E_SYSTEM)
		rc = psb_fail(err, PSB_E_ENGINE, -rc, "microvm: the supervisor is gone: %s",
			      strerror(-rc));
	close_fd(&theirs[0]);
	close_fd(&theirs[1]);
	if (rc < 0)
		vm_free(tmpl, slot);
	return rc;
}

/* Until the supervisor tells of its death an ended pipe would wake us without end. */
void vm_unwatch(const struct engine_template *tmpl, uint32_t slot)
{
	(void)epoll_ctl(tmpl->epoll_fd, EPOLL_CTL_DEL, tmpl->vms[slot].event_fd, NULL);
}

void vm_kill(const struct engine_template *tmpl, uint32_t slot)
{
	(void)tell(tmpl, slot, VMM_KILL, NULL);
}

void vm_interrupt(const struct engine_template *tmpl, uint32_t slot)
{
	(void)tell(tmpl, slot, VMM_INTERRUPT, NULL);
}

int vm_ask_files(const struct engine_template *tmpl, uint32_t slot)
{
	return tell(tmpl, slot, VMM_DIRECTORY, NULL);
}

/* A closed pipe leaves the epoll set by itself. */
void vm_free(struct engine_template *tmpl, uint32_t slot)
{
	struct vm *vm = &tmpl->vms[slot];

	close_fd(&vm->command_fd);
	close_fd(&vm->command_keep_fd);
	close_fd(&vm->event_fd);
	close_fd(&vm->placed.pidfd);
	vm->state = VM_FREE;
	vm->instance = NULL;
}

bool vm_read_events(struct vm *vm, int reads, const struct events_sink *sink)
{
	/* Not zeroed at every call, as the compiler is told to: only what read() filled is looked at. */
	uint8_t buffer[READ_BYTES] __attribute__((uninitialized));

	for (int i = 0; i < reads; i++) {
		ssize_t n = read(vm->event_fd, buffer, sizeof(buffer));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0 || !events_feed(&vm->events, buffer, (size_t)n, sink))
			return false;
		if ((size_t)n < sizeof(buffer))
			return true; /* perhaps more: the next turn will see */
	}
	return true;
}
