/*
 * Theory of operation: the machine boots in a child that goes through the same namespaces and empty
 * root as a supervisor, and whose filter then leaves it its machine and one pipe. Through that it
 * reports the vCPU's state; when it is dead, this process reads its memory back from the file and
 * writes the header. So nothing that a guest could take over ever writes it, or holds a path.
 * Trust boundary: what comes through the pipe is the guest's: fixed in size, and bounded by
 * snapshot_load(), which every reader of the file goes through. Text is shown, so it is cleaned.
 */
#include "boot_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../vmm/nest.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "ipc/transfer.h"

struct boot_report {
	uint32_t ready; /* 1: the result counts; else the text */
	uint32_t reserved;
	char text[504];
	struct boot_result result;
};

static void report_failure(void *context, const char *message)
{
	const struct boot *boot = context;
	static struct boot_report report;

	(void)snprintf(report.text, sizeof(report.text), "%s", message);
	(void)transfer_write(boot->report_fd, &report, sizeof(report));
}

__attribute__((noreturn)) static void child_main(struct boot *boot, bool namespaces)
{
	static struct boot_report report; /* made early: the jail lets nobody allocate */
	const struct nest nest = {.namespaces = namespaces,
				  .linger = true,
				  .failed = report_failure,
				  .context = boot};
	struct psb_error err = {0};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (nest_enter(&nest, &err) < 0 || boot_run(boot, &report.result, &err) < 0) {
		report_failure(boot, err.message);
		_exit(1);
	}
	report.ready = 1;
	_exit(!transfer_write(boot->report_fd, &report, sizeof(report)));
}

static void clean_text(char *text, size_t room)
{
	text[room - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text == 0x7f)
			*text = ' ';
}

/* Its end, and that of all it started, comes before anything of it is used. */
static int take_report(int fd, pid_t pid, struct boot_report *report, struct psb_error *err)
{
	bool whole = transfer_read(fd, report, sizeof(*report));
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return psb_fail(err, PSB_E_SYSTEM, errno, "image: waitpid: %s",
					strerror(errno));
	if (whole && report->ready == 1 && status == 0)
		return 0;
	clean_text(report->text, sizeof(report->text));
	return psb_fail(err, PSB_E_ENGINE, 0, "image: %.480s",
			whole && report->text[0] ? report->text
						 : "the process that boots the machine was killed");
}

int boot_in_child(struct boot *boot, bool namespaces, struct psb_error *err)
{
	auto_free struct boot_report *report = calloc(1, sizeof(*report));
	auto_fd read_end = -1;
	int ends[2];
	pid_t pid;
	int rc;

	if (!report)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "image: out of memory");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: pipe: %s", strerror(errno));
	read_end = ends[0];
	boot->report_fd = ends[1];
	pid = fork();
	if (pid == 0)
		child_main(boot, namespaces);
	rc = pid < 0 ? errno : 0;
	(void)close(ends[1]);
	if (pid < 0)
		return psb_fail(err, PSB_E_SYSTEM, rc, "image: fork: %s", strerror(rc));
	rc = take_report(read_end, pid, report, err);
	return rc < 0 ? rc : boot_store(boot, &report->result, err);
}
