/*
 * pysandbox-vmm: exec'd by the library, one per sandbox handle. Theory of operation: reads its
 * configuration from descriptor 3, opens /dev/kvm and the image (building it if it is missing),
 * cuts itself off from the host and serves as the supervisor of the workers.
 * Trust boundary: configuration and files are trusted; guest code runs in workers only, and while
 * an image is built in a child of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../image/store.h"
#include "core/error.h"
#include "engines/orphan.h"
#include "nest.h"
#include "supervisor.h"
#include "worker.h"

#define VMM_OPEN_FILES 1024u /* two pipes for each worker, on their way */
#define NEEDED_OPEN_FILES 128u

/* It is handed over through a pipe that need not be read yet. */
_Static_assert(sizeof(struct supervisor) <= 60u << 10, "the supervisor as luggage");

static void set_up_process(const char *processors)
{
	orphan_begin("psb-vmm", processors);
	(void)umask(077);
	orphan_raise_open_files(VMM_OPEN_FILES);
}

static int check_open_files(struct psb_error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= NEEDED_OPEN_FILES)
		return 0;
	return psb_fail(err, PSB_E_SYSTEM, 0,
			"vmm: only %llu files may be open, %u are needed: raise the limit "
			"(ulimit -n)",
			(unsigned long long)limit.rlim_cur, NEEDED_OPEN_FILES);
}

static int read_config(struct vmm_config *config)
{
	ssize_t n;

	do
		n = recv(ORPHAN_CONTROL_FD, config, sizeof(*config), 0);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*config) && config->version == MICROVM_VERSION &&
			       config->slots >= 1 && config->slots <= MICROVM_MAX_SLOTS
		       ? 0
		       : -1;
}

static int open_signals(struct supervisor *supervisor, struct psb_error *err)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &signals, NULL) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: sigprocmask: %s", strerror(errno));
	supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervisor->signal_fd < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: signalfd: %s", strerror(errno));
	return 0;
}

static void on_progress(void *context, const char *text)
{
	const struct supervisor *supervisor = context;

	supervisor_tell(supervisor, VMM_PROGRESS, text);
}

static int open_device(struct supervisor *supervisor, struct psb_error *err)
{
	supervisor->void_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	supervisor->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (supervisor->kvm_fd < 0 || supervisor->void_fd < 0)
		return psb_fail(err, PSB_E_UNSUPPORTED, errno,
				"vmm: /dev/kvm: %s: allow this device to the container or control "
				"group",
				strerror(errno));
	return machine_check_kvm(supervisor->kvm_fd, err);
}

static int open_image(struct supervisor *supervisor, struct psb_error *err)
{
	const struct store_host watched = {.fd = supervisor->host_fd,
					   .pidfd = supervisor->host_pidfd,
					   .progress = on_progress,
					   .context = supervisor};
	struct store_files files;
	int rc = store_open(&supervisor->config, supervisor->kvm_fd, &watched, &files, err);

	if (rc < 0)
		return rc;
	return snapshot_load(&supervisor->snapshot, files.snapshot_fd, files.image_fd, err);
}

static int manage(struct supervisor *supervisor, struct psb_error *err)
{
	const struct vmm_config *config = &supervisor->config;

	if (config->action == VMM_PRUNE)
		return store_prune_all(config, on_progress, supervisor, err);
	return store_list(config, config->action == VMM_VERIFY, on_progress, supervisor, err);
}

static void prepare_inside(void *context)
{
	struct supervisor *supervisor = context;

	if (supervisor->files_fd < 0)
		files_open(supervisor);
}

static void tell_failure(void *context, const char *message)
{
	supervisor_tell(context, VMM_FAILED, message);
}

static void clear_away(void *context)
{
	struct supervisor *supervisor = context;

	groups_remove(&supervisor->groups);
}

static void sweep(void *context)
{
	const struct supervisor *supervisor = context;

	if (supervisor->groups.made)
		cgroup_sweep(&supervisor->groups.tree);
}

static int open_groups(struct supervisor *supervisor, struct psb_error *err)
{
	const struct vmm_config *config = &supervisor->config;
	bool unshared = config->unshared_image != 0;

	if (!config->control_groups)
		return 0;
	return groups_open(&supervisor->groups, config->slots,
			   worker_memory_bytes(&supervisor->snapshot, &config->limits, unshared),
			   err);
}

/* What only an outsider can do; the namespaces are being made meanwhile. */
static int prepare_outside(struct supervisor *supervisor, const struct nest *nest,
			   const struct nest_birth *birth, struct psb_error *err)
{
	int rc = open_image(supervisor, err);

	if (rc == 0 && supervisor->config.control_groups)
		rc = groups_begin(&supervisor->groups, err);
	if (rc == 0)
		rc = nest_write_maps(nest, birth, err);
	if (rc == 0 && geteuid() == 0)
		files_open(supervisor);
	return rc < 0 ? rc : open_groups(supervisor, err);
}

/* Returns as the supervisor: caged, with nothing left but what it serves. */
static int become_supervisor(struct supervisor *supervisor, struct psb_error *err)
{
	const struct vmm_config *config = &supervisor->config;
	int *outside_fd = config->control_groups ? &supervisor->outside_fd : NULL;
	const struct nest nest = {.namespaces = config->namespaces != 0,
				  .linger = config->control_groups != 0,
				  .outside_fd = outside_fd,
				  .luggage = supervisor,
				  .luggage_bytes = sizeof(*supervisor),
				  .prepare = prepare_inside,
				  .failed = tell_failure,
				  .left = sweep,
				  .ended = clear_away,
				  .context = supervisor};
	struct nest_birth birth;
	int rc = nest_begin(&nest, &birth, err);

	if (rc != NEST_OUTSIDE)
		return rc < 0 ? rc : 0;
	rc = prepare_outside(supervisor, &nest, &birth, err);
	if (rc == 0)
		rc = nest_let_go(&nest, &birth, err);
	if (rc < 0) {
		nest_give_up(&birth);
		clear_away(supervisor);
	}
	return rc;
}

static int serve(struct supervisor *supervisor, struct psb_error *err)
{
	int rc = check_open_files(err);

	if (rc == 0)
		rc = become_supervisor(supervisor, err);
	if (rc == 0)
		rc = open_signals(supervisor, err);
	if (rc == 0)
		supervisor_serve(supervisor);
	return rc;
}

/* Anything but serving. */
static int do_once(struct supervisor *supervisor, struct psb_error *err)
{
	int rc = supervisor->config.action >= VMM_LIST ? manage(supervisor, err)
						       : open_image(supervisor, err);

	if (rc == 0)
		supervisor_tell(supervisor, VMM_DONE, "");
	return rc;
}

int main(int argc, char **argv)
{
	static struct supervisor supervisor;
	struct psb_error err = {0};
	bool host_gone;
	int rc = 0;

	set_up_process(argc > 1 ? argv[1] : NULL);
	supervisor.files_fd = supervisor.outside_fd = -1;
	supervisor.host_fd = ORPHAN_CONTROL_FD;
	supervisor.host_pidfd = orphan_watch_host(&host_gone);
	if (host_gone || read_config(&supervisor.config) < 0)
		return 1;
	if (supervisor.config.action < VMM_LIST)
		rc = open_device(&supervisor, &err);
	if (rc == 0)
		rc = supervisor.config.action == VMM_SERVE ? serve(&supervisor, &err)
							   : do_once(&supervisor, &err);
	if (rc < 0)
		supervisor_tell(&supervisor, VMM_FAILED, err.message);
	return rc < 0;
}
