/*
 * The VMM against a guest that does what it likes (mini_kernel.c): every kind of end is told as
 * what it is, and after each the machine is the snapshot again, compared byte for byte. Needs
 * /dev/kvm; is skipped without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engines/microvm/events.h"
#include "fixture.h"

#define REQUEST_HEAD 64u
#define SHORT_MS 300u
#define LONG_MS FIXTURE_WALL_MS

struct seen {
	bool ended;
	struct vm_ended evidence;
	char out[64];
	size_t out_bytes;
	char files[128];
	size_t file_bytes;
	uint32_t files_failed;
};

static void on_data(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct seen *seen = context;

	for (size_t i = 0; i < len; i++) {
		if (type == VM_STDOUT && seen->out_bytes < sizeof(seen->out) - 1)
			seen->out[seen->out_bytes++] = (char)data[i];
		if (type == VM_FILES && seen->file_bytes < sizeof(seen->files))
			seen->files[seen->file_bytes++] = (char)data[i];
	}
}

static void on_event(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct seen *seen = context;

	if (type == VM_ENDED && len == sizeof(seen->evidence)) {
		memcpy(&seen->evidence, data, len);
		seen->ended = true;
	}
	if (type == VM_FILES_END && len == sizeof(seen->files_failed)) {
		memcpy(&seen->files_failed, data, len);
		seen->ended = true;
	}
}

struct reader {
	pthread_t thread;
	int fd;
	struct seen *seen;
	bool sound;
};

/* As the library does, while the worker writes. */
static void *read_until_end(void *argument)
{
	struct reader *reader = argument;
	const struct events_sink sink = {on_data, on_event, reader->seen};
	struct events events = {0};
	uint8_t buffer[65536];
	ssize_t n;

	reader->sound = true;
	while (reader->sound && !reader->seen->ended &&
	       (n = read(reader->fd, buffer, sizeof(buffer))) > 0)
		reader->sound = events_feed(&events, buffer, (size_t)n, &sink);
	reader->sound = reader->sound && events.head_bytes == 0;
	return NULL;
}

static void reader_start(struct reader *reader, const struct fixture *fixture, struct seen *seen)
{
	sigset_t alarm;

	/* The timers' signal is the worker's. */
	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	(void)pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	*seen = (struct seen){0};
	*reader = (struct reader){.fd = fixture->events_fd, .seen = seen};
	assert_int_equal(pthread_create(&reader->thread, NULL, read_until_end, reader), 0);
	(void)pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
}

static void reader_finish(struct reader *reader)
{
	(void)pthread_join(reader->thread, NULL);
	assert_true(reader->sound && reader->seen->ended);
}

static void collect(struct fixture *fixture, struct seen *seen)
{
	struct reader reader;

	reader_start(&reader, fixture, seen);
	assert_int_equal(execution_collect(&fixture->worker), 0);
	reader_finish(&reader);
	assert_int_equal(seen->files_failed, 0);
	assert_int_equal(seen->file_bytes, sizeof(struct file_record) + 3);
	assert_memory_equal(seen->files + sizeof(struct file_record), "aok", 3);
}

/* One letter, one execution. Some of them never end by themselves. */
static void run_letter(struct fixture *fixture, char letter, struct seen *seen)
{
	struct worker *worker = &fixture->worker;
	struct vm_command command = {.type = VM_START,
				     .start_us = run_clock_ns() / 1000,
				     .request_bytes = REQUEST_HEAD + 1,
				     .limits = worker->limits};
	struct reader reader;

	command.limits.wall_ms = strchr("swf", letter) ? SHORT_MS : LONG_MS;
	memset(worker->inbox, 0, REQUEST_HEAD);
	worker->inbox[REQUEST_HEAD] = (uint8_t)letter;
	worker->inbox_start = 0;
	worker->inbox_end = REQUEST_HEAD + 1;
	reader_start(&reader, fixture, seen);
	assert_int_equal(execution_start(worker, &command), 0);
	reader_finish(&reader);
}

static void assert_is_snapshot(struct fixture *fixture)
{
	struct worker *worker = &fixture->worker;
	const struct memory *memory = &worker->memory;
	struct machine_state *state = test_calloc(1, sizeof(*state));
	struct psb_error err;
	static const uint8_t zeroes[GUEST_PAGE_BYTES];

	assert_int_equal(worker_reset(worker), 0);
	for (uint64_t at = GUEST_PROGRAM_BASE; at < memory->end; at += GUEST_PAGE_BYTES) {
		const uint8_t *wanted = at < memory->file_end ? worker->golden + at : zeroes;

		if (memcmp(memory->ram + at, wanted, GUEST_PAGE_BYTES) != 0)
			fail_msg("page %#llx differs from the snapshot", (unsigned long long)at);
	}
	/* Registers set through the run page take effect when the vCPU is next entered. */
	worker->machine.run->immediate_exit = 1;
	(void)ioctl(worker->machine.vcpu_fd, KVM_RUN, 0);
	worker->machine.run->immediate_exit = 0;
	assert_int_equal(machine_get_state(&worker->machine, state, &err), 0);
	assert_memory_equal(&state->regs, &fixture->snapshot.header.state.regs,
			    sizeof(state->regs));
	assert_memory_equal(state->xsave, fixture->snapshot.header.state.xsave, 512);
	assert_int_equal(state->sregs.cr3, fixture->snapshot.header.state.sregs.cr3);
	assert_int_equal(state->sregs.fs.base, fixture->snapshot.header.state.sregs.fs.base);
	test_free(state);
}

struct expectation {
	char letter;
	uint32_t flags;
	int32_t exit_code;
	int32_t signal_number;
};

static const struct expectation expectations[] = {
	{'o', VM_EXITED, 0, 0},          {'p', VM_EXITED, 0, 0},
	{'h', VM_EXITED, 0, 0},          {'k', VM_EXITED, 55, 0},
	{'c', VM_EXITED, 107, 0},        {'u', VM_SIGNALLED, 0, SIGILL},
	{'n', VM_SIGNALLED, 0, SIGSEGV}, {'x', VM_SIGNALLED, 0, SIGSEGV},
	{'P', VM_SIGNALLED, 0, SIGILL},  {'t', VM_SIGNALLED, 0, SIGSEGV},
	{'i', VM_SIGNALLED, 0, SIGSEGV}, {'m', VM_SIGNALLED, 0, SIGSEGV},
	{'s', VM_WALL_FIRED, 0, 0},      {'w', VM_WALL_FIRED, 0, 0},
	{'W', VM_EXITED, 0, 0},          {'f', VM_WALL_FIRED, 0, 0},
	{'L', VM_SIGNALLED, 0, SIGSEGV}, {'b', VM_EXITED, 6, 0},
	{'g', VM_SIGNALLED, 0, SIGSEGV}, {'q', VM_SIGNALLED, 0, SIGABRT},
	{'v', VM_SIGNALLED, 0, SIGSEGV}, {'j', VM_SIGNALLED, 0, SIGSEGV},
	{'d', VM_SIGNALLED, 0, SIGSEGV}, {'y', VM_EXITED, 3, 0},
	{'T', VM_SIGNALLED, 0, SIGSEGV}, {'z', VM_SIGNALLED, 0, SIGSEGV},
	{'G', VM_SIGNALLED, 0, SIGSEGV}, {'X', VM_SIGNALLED, 0, SIGSEGV},
	{'Y', VM_SIGNALLED, 0, SIGSEGV},
};

/* What the emulator of an ordinary KVM cannot do in ring 3 is an unknown instruction to the guest. */
static bool is_signal_wanted(const struct expectation *wanted, int32_t seen)
{
	return seen == wanted->signal_number || (strchr("vj", wanted->letter) && seen == SIGILL);
}

static void every_end_is_told_and_undone(void **state)
{
	struct fixture *fixture = *state;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
			const struct expectation *wanted = &expectations[i];
			struct seen seen;

			run_letter(fixture, wanted->letter, &seen);
			if (seen.evidence.flags != wanted->flags ||
			    seen.evidence.exit_code != wanted->exit_code ||
			    !is_signal_wanted(wanted, seen.evidence.signal_number))
				fail_msg("'%c': flags %u exit %d signal %d at %#llx",
					 wanted->letter, seen.evidence.flags,
					 seen.evidence.exit_code, seen.evidence.signal_number,
					 (unsigned long long)seen.evidence.address);
			assert_is_snapshot(fixture);
		}
	}
}

static void output_comes_and_files_are_collected(void **state)
{
	struct fixture *fixture = *state;
	struct seen seen;

	run_letter(fixture, 'o', &seen);
	assert_string_equal(seen.out, "hello");
	collect(fixture, &seen);
	assert_is_snapshot(fixture);
}

static void files_are_collected_after_a_crash(void **state)
{
	static const char letters[] = "usm";
	struct fixture *fixture = *state;
	struct seen seen;

	for (const char *letter = letters; *letter; letter++) {
		run_letter(fixture, *letter, &seen);
		collect(fixture, &seen);
		assert_is_snapshot(fixture);
	}
}

/* There, and no page of a file. */
static bool is_copied(const uint8_t *page)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)page / GUEST_PAGE_BYTES * sizeof(entry));

	assert_int_equal(pread(fd, &entry, sizeof(entry), at), sizeof(entry));
	(void)close(fd);
	return (entry >> 63 & 1) && !(entry >> 61 & 1);
}

/* It runs like any other, and nothing could bring it back: then it must not be used again. */
static void a_machine_for_one_run_has_no_way_back(void **state)
{
	static struct fixture once;
	const struct fixture *fixture = *state;
	struct snapshot_header *header = &once.snapshot.header;
	const uint64_t beyond = fixture->snapshot.header.memory_end - GUEST_PAGE_BYTES;
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct psb_error err = {0};
	struct seen seen;

	once = (struct fixture){.snapshot = fixture->snapshot, .events_fd = fixture->events_fd};
	header->hot_count = 1;
	header->hot[0] = (struct snapshot_range){(uint32_t)(beyond / GUEST_PAGE_BYTES), 1};
	once.worker = (struct worker){.snapshot = &once.snapshot,
				      .once = true,
				      .outbox.fd = fixture->worker.outbox.fd,
				      .limits = fixture->worker.limits};
	if (worker_prepare(&once.worker, kvm_fd, &err) < 0)
		fail_msg("%s", err.message);
	(void)close(kvm_fd);
	assert_true(is_copied(once.worker.memory.ram + beyond));
	assert_false(is_copied(once.worker.memory.ram + beyond - GUEST_PAGE_BYTES));
	assert_memory_equal(once.worker.memory.ram + GUEST_PROGRAM_BASE,
			    fixture->worker.golden + GUEST_PROGRAM_BASE,
			    header->memory_end - GUEST_PROGRAM_BASE);
	run_letter(&once, 'o', &seen);
	assert_string_equal(seen.out, "hello");
	collect(&once, &seen);
	assert_int_equal(worker_reset(&once.worker), -1);
	machine_close(&once.worker.machine);
	memory_close(&once.worker.memory);
}

static int load_with(const struct fixture *fixture, struct snapshot_header *header)
{
	struct snapshot *loaded = test_calloc(1, sizeof(*loaded));
	int fd = fixture->snapshot.snapshot_fd;
	struct psb_error err = {0};
	int rc;

	assert_int_equal(pwrite(fd, header, sizeof(*header), 0), sizeof(*header));
	rc = snapshot_load(loaded, fd, fixture->snapshot.image_fd, &err);
	header = (struct snapshot_header *)(uintptr_t)&fixture->snapshot.header;
	assert_int_equal(pwrite(fd, header, sizeof(*header), 0), sizeof(*header));
	test_free(loaded);
	return rc;
}

static void hot_pages_outside_of_memory_are_refused(void **state)
{
	const struct fixture *fixture = *state;
	const uint32_t first = GUEST_PROGRAM_BASE / GUEST_PAGE_BYTES;
	const uint32_t end = (uint32_t)(fixture->snapshot.header.memory_end / GUEST_PAGE_BYTES);
	const struct snapshot_range bad[] = {
		{first - 1, 1}, {end, 1}, {end - 1, 2}, {first, UINT32_MAX}, {UINT32_MAX, 1}};
	struct snapshot_header *header = test_calloc(1, sizeof(*header));

	*header = fixture->snapshot.header;
	header->hot_count = 1;
	header->hot[0] = (struct snapshot_range){end - 1, 1};
	assert_int_equal(load_with(fixture, header), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		header->hot[0] = bad[i];
		assert_int_equal(load_with(fixture, header), PSB_E_ENGINE);
	}
	header->hot_count = SNAPSHOT_MAX_HOT + 1;
	assert_int_equal(load_with(fixture, header), PSB_E_ENGINE);
	header->hot_count = 0;
	header->features.count = MACHINE_MAX_CPUID + 1;
	assert_int_equal(load_with(fixture, header), PSB_E_ENGINE);
	test_free(header);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_comes_and_files_are_collected),
		cmocka_unit_test(every_end_is_told_and_undone),
		cmocka_unit_test(files_are_collected_after_a_crash),
		cmocka_unit_test(a_machine_for_one_run_has_no_way_back),
		cmocka_unit_test(hot_pages_outside_of_memory_are_refused),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return 77;
	return cmocka_run_group_tests(tests, fixture_set_up, NULL);
}
