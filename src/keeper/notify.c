/*
 * System calls that the template's filter tells us of, by the kernel's word alone: number, arguments
 * and who made the call. The kill class ends the execution, or the template when no instance made
 * it. On rungs C and D signals to another pid than the zygote's come here as well: a process may
 * signal itself and nobody else. Their arguments are register values, so letting a call continue
 * after the look cannot be raced.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "core/cleanup.h"
#include "host_probe/procfs.h"
#include "keeper/keeper.h"

static bool is_signal(const struct seccomp_data *call)
{
	return call->arch == AUDIT_ARCH_X86_64 && (call->nr == SYS_kill || call->nr == SYS_tgkill);
}

static void answer_signal(const struct keeper *keeper, const struct seccomp_notif *request)
{
	pid_t self = procfs_thread_group((pid_t)request->pid);
	struct seccomp_notif_resp answer = {.id = request->id};

	if (self == 0) /* no /proc: a single-threaded caller is still known */
		self = (pid_t)request->pid;
	if (self > 0 && request->data.args[0] == (uint64_t)self)
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.error = -EPERM;
	(void)ioctl(keeper->listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void end_template(struct keeper *keeper, int number)
{
	char text[KEEPER_TEXT_BYTES];
	const char *name = jail_syscall_name(number);

	(void)snprintf(text, sizeof(text),
		       "a start-up file or preloaded module made the forbidden system call %s",
		       name ? name : "?");
	host_fail_template(keeper, text);
	if (keeper->zygote_pid > 0)
		(void)kill(keeper->zygote_pid, SIGKILL);
}

void notification_turn(struct keeper *keeper)
{
	struct seccomp_notif request = {0};
	struct slot *slot;

	if (ioctl(keeper->listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0) {
		if (errno != ENOENT && errno != EINTR)
			close_fd(&keeper->listener_fd);
		return;
	}
	if (is_signal(&request.data)) {
		answer_signal(keeper, &request);
		return;
	}
	slot = slot_of_task(keeper, (pid_t)request.pid);
	if (slot)
		slot_denied(slot, &request.data);
	else
		end_template(keeper, request.data.nr);
}
