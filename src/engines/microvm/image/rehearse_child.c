/*
 * Theory of operation: a worker like any other, in the same namespaces and behind the same filter,
 * rehearses on a new snapshot and sends the list of pages that it wrote through its one pipe. When
 * it is dead this process writes the list into the snapshot's header.
 * Trust boundary: the list comes from a process that ran a guest. It is fixed in size, and checked
 * by snapshot_load() like everything in the file; a wrong one costs time and nothing else.
 */
#include "rehearse_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../vmm/jail.h"
#include "../vmm/nest.h"
#include "../vmm/rehearse.h"
#include "core/cleanup.h"
#include "core/error.h"

#define REHEARSAL_MS 30000u

static const struct vm_limits modest = {.wall_ms = REHEARSAL_MS,
					.cpu_ms = REHEARSAL_MS,
					.memory_bytes = 64u << 20,
					.workspace_bytes = 1u << 20,
					.workspace_files = 16,
					.open_files = 64,
					.threads = 8};

/* The builder tells that there was no list; why is the namespaces' matter, tried before. */
static void say_nothing(void *context, const char *message)
{
	(void)context;
	(void)message;
}

__attribute__((noreturn)) static void child_main(const struct snapshot *snapshot, int kvm_fd,
						 bool namespaces, int report_fd)
{
	static struct rehearsal_report report; /* made early: the jail lets nobody allocate */
	static struct worker worker;
	const struct nest nest = {.namespaces = namespaces, .linger = true, .failed = say_nothing};
	struct psb_error err = {0};

	worker.snapshot = snapshot;
	worker.limits = modest;
	worker.outbox.fd = report_fd;
	worker.command_fd = worker.void_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (worker.void_fd < 0 || nest_enter(&nest, &err) < 0 ||
	    worker_prepare(&worker, kvm_fd, &err) < 0 || worker_jail(&worker, &err) < 0 ||
	    rehearse(&worker) < 0)
		_exit(1);
	rehearsal_list(&worker, &report);
	_exit(write(worker.outbox.fd, &report, sizeof(report)) != (ssize_t)sizeof(report));
}

/* The pipe holds all of it. The end of all that ran comes before anything of it is used. */
static int take_report(int fd, pid_t pid, struct rehearsal_report *report, struct psb_error *err)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return psb_fail(err, PSB_E_SYSTEM, errno, "image: waitpid: %s",
					strerror(errno));
	if (status != 0 || read(fd, report, sizeof(*report)) != (ssize_t)sizeof(*report))
		return psb_fail(err, PSB_E_ENGINE, 0,
				"image: the first execution of the new machine failed");
	return 0;
}

static int run_child(const struct snapshot *snapshot, int kvm_fd, bool namespaces,
		     struct rehearsal_report *report, struct psb_error *err)
{
	auto_fd read_end = -1;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: pipe: %s", strerror(errno));
	read_end = ends[0];
	pid = fork();
	if (pid == 0)
		child_main(snapshot, kvm_fd, namespaces, ends[1]);
	(void)close(ends[1]);
	if (pid < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: fork: %s", strerror(errno));
	return take_report(read_end, pid, report, err);
}

static int note(const struct rehearsal_report *report, int snapshot_fd, int image_fd,
		struct snapshot *snapshot, struct psb_error *err)
{
	struct snapshot_header *header = &snapshot->header;

	header->hot_count = report->hot_count;
	memcpy(header->hot, report->hot, sizeof(header->hot));
	if (pwrite(snapshot_fd, header, sizeof(*header), 0) != (ssize_t)sizeof(*header) ||
	    fsync(snapshot_fd) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: cannot write the snapshot: %s",
				strerror(errno));
	return snapshot_load(snapshot, snapshot_fd, image_fd, err);
}

int rehearse_in_child(int kvm_fd, int snapshot_fd, int image_fd, bool namespaces,
		      struct psb_error *err)
{
	auto_free struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	auto_free struct rehearsal_report *report = calloc(1, sizeof(*report));
	int rc;

	if (!snapshot || !report)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	rc = snapshot_load(snapshot, snapshot_fd, image_fd, err);
	if (rc == 0)
		rc = run_child(snapshot, kvm_fd, namespaces, report, err);
	return rc < 0 ? rc : note(report, snapshot_fd, image_fd, snapshot, err);
}
