/*
 * Theory of operation: before a template makes its first instance, one of its children, the scout,
 * gets ready and runs a sample request from start to end while nobody waits. What it touched on the
 * way (hot_pages.c) is handed to the zygote, whose instances touch it in bulk when they are born. The scout lives in slot 0
 * and is an instance like any other, in the same cage and under the same limits; its end is not
 * reported to the host. Whatever goes wrong with it, the template serves without a hot set.
 * Trust: a scout can lie about when it is done and shape its memory; the worst it gets is a set of
 * pages that do not help. Its output is not read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "ipc/request.h"
#include "keeper/hot_pages.h"
#include "keeper/keeper.h"

#define SCOUT_SLOT 0u
#define SCOUT_WALL_MS 3000u

/* The smallest ordinary request, of ordinary size: where allocations fall depends on it. What larger
 * programs have in common is run by the runner after it (warm() in psb_warm.py). */
static const char sample_source[] = "print('text')\nresult = sum(range(10))\n";
#define SAMPLE_OPTIONS_BYTES 8192u

/* As the host will write them, import list included. Gives their length. */
static size_t write_options(const struct keeper_config *config, char *out, size_t room)
{
	int n = snprintf(out, room, REQUEST_PLAIN_OPTIONS "%s}",
			 config->imports[0] ? config->imports : "{\"mode\":\"off\"}");

	return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

static int make_pipes(struct scout *scout, int guest[4])
{
	for (size_t i = 0; i < 4; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		/* The request goes in, the rest comes out. */
		guest[i] = ends[i == 0 ? 0 : 1];
		scout->fds[i] = ends[i == 0 ? 1 : 0];
	}
	return 0;
}

bool scout_begin(struct keeper *keeper)
{
	struct slot *slot = &keeper->slots[SCOUT_SLOT];
	struct cgroup_slot cgroup = slot->cgroup;
	int guest[4] = {-1, -1, -1, -1};
	int rc;

	if (keeper->config.single_use || slot->state != SLOT_FREE)
		return false;
	rc = make_pipes(&keeper->scout, guest);
	if (rc == 0) {
		bool has_pending = slot->has_pending;
		struct slot fresh = {.state = SLOT_SPAWNING,
				     .scout = true,
				     .workspace_fd = -1,
				     .cgroup = cgroup,
				     .has_pending = has_pending,
				     .pending_generation = slot->pending_generation};

		memcpy(fresh.pending, slot->pending, sizeof(fresh.pending));
		*slot = fresh;
		rc = slot_spawn(keeper, SCOUT_SLOT, guest);
	}
	for (size_t i = 0; i < 4; i++)
		close_fd(&guest[i]);
	if (rc == 0)
		return true;
	scout_over(keeper);
	return false;
}

static int send_sample(const struct keeper_config *config, int fd)
{
	char options[SAMPLE_OPTIONS_BYTES];
	struct request_parts parts = {
		.source = sample_source,
		.source_len = sizeof(sample_source) - 1,
		.options = options,
		.options_len = write_options(config, options, sizeof(options)),
		.result_bytes = 1u << 20,
	};
	auto_free uint8_t *bytes = NULL;
	size_t len = 0;

	if (request_encode(&parts, &bytes, &len, NULL) < 0)
		return -ENOMEM;
	/* Smaller than a pipe holds: it does not block. */
	return write(fd, bytes, len) == (ssize_t)len ? 0 : -EIO;
}

/* It has just been born and waits for a byte. */
void scout_hello(struct keeper *keeper)
{
	struct slot *slot = &keeper->slots[SCOUT_SLOT];

	if (page_look_take(slot->guest_pid, &keeper->scout.before) < 0 ||
	    write(keeper->scout.fds[0], "g", 1) != 1)
		slot_kill(slot);
}

void scout_ready(struct keeper *keeper)
{
	struct slot *slot = &keeper->slots[SCOUT_SLOT];

	if (send_sample(&keeper->config, keeper->scout.fds[0]) < 0) {
		slot_kill(slot);
		return;
	}
	slot->state = SLOT_READY;
	slot->limits.wall_ms = SCOUT_WALL_MS;
	slot->limits.cpu_ms = SCOUT_WALL_MS;
	slot_begin(keeper, slot, clock_us());
	timers_arm(keeper);
}

static void hand_over(struct keeper *keeper, const struct hot_set *set)
{
	const struct spawn_message message = {.kind = SPAWN_HOT_SET};
	auto_fd fd = memfd_create("psb-hot-set", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, set, sizeof(*set)) == (ssize_t)sizeof(*set))
		(void)spawn_send(keeper, &message, &fd, 1);
}

void scout_done(struct keeper *keeper, pid_t sender)
{
	struct slot *slot = &keeper->slots[SCOUT_SLOT];
	auto_free struct hot_set *set = calloc(1, sizeof(*set));

	if (!slot->scout || sender != slot->guest_pid || slot->state != SLOT_RUNNING)
		return;
	if (set && keeper->scout.before &&
	    page_look_compare(keeper->scout.before, slot->guest_pid, set) == 0)
		hand_over(keeper, set);
	slot_kill(slot);
}

void scout_over(struct keeper *keeper)
{
	keeper->slots[SCOUT_SLOT].scout = false;
	keeper->slots[SCOUT_SLOT].state = SLOT_FREE;
	page_look_free(keeper->scout.before);
	keeper->scout.before = NULL;
	for (size_t i = 0; i < 4; i++)
		close_fd(&keeper->scout.fds[i]);
	slots_serve(keeper);
}
