/*
 * The library's two decoders of what a worker says: events and the files of a workspace. Whatever
 * comes, nothing is written outside of the directory and nothing is read past its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engines/microvm/events.h"
#include "engines/microvm/files_in.h"

struct seen {
	char streams[64];
	size_t bytes;
	uint32_t events;
	uint32_t last_type;
	size_t last_len;
};

static void on_data(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct seen *seen = context;

	assert_true(type == VM_STDOUT || type == VM_STDERR);
	assert_true(len <= sizeof(seen->streams) - seen->bytes);
	memcpy(seen->streams + seen->bytes, data, len);
	seen->bytes += len;
}

static void on_event(void *context, uint32_t type, const uint8_t *data, size_t len)
{
	struct seen *seen = context;

	(void)data;
	seen->events++;
	seen->last_type = type;
	seen->last_len = len;
}

static size_t put_event(uint8_t *to, uint32_t type, const void *data, uint32_t bytes)
{
	const struct vm_event event = {.type = type, .bytes = bytes};

	memcpy(to, &event, sizeof(event));
	memcpy(to + sizeof(event), data, bytes);
	return sizeof(event) + bytes;
}

/* The same events whatever the pieces are. */
static void events_survive_any_cut(void **state)
{
	uint8_t bytes[256];
	size_t len = put_event(bytes, VM_STDOUT, "abc", 3);

	(void)state;
	len += put_event(bytes + len, VM_READY, "12345678", 8);
	len += put_event(bytes + len, VM_STDERR, "", 0);
	len += put_event(bytes + len, VM_STDERR, "de", 2);
	for (size_t piece = 1; piece <= len; piece++) {
		struct events events = {0};
		struct seen seen = {0};
		const struct events_sink sink = {on_data, on_event, &seen};

		for (size_t at = 0; at < len; at += piece)
			assert_true(events_feed(&events, bytes + at,
						len - at < piece ? len - at : piece, &sink));
		assert_int_equal(seen.bytes, 5);
		assert_memory_equal(seen.streams, "abcde", 5);
		assert_int_equal(seen.events, 1);
		assert_int_equal(seen.last_type, VM_READY);
		assert_int_equal(seen.last_len, 8);
	}
}

static void nonsense_ends_the_events(void **state)
{
	static const struct vm_event nonsense[] = {
		{0, 0},
		{VM_BROKEN + 1, 0},
		{VM_ENDED, EVENTS_SMALL_BYTES + 1},
		{VM_STDOUT, VM_EVENT_MAX_BYTES + 1},
		{UINT32_MAX, UINT32_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		struct events events = {0};
		struct seen seen = {0};
		const struct events_sink sink = {on_data, on_event, &seen};
		uint8_t good[16];
		size_t len = put_event(good, VM_STDOUT, "x", 1);

		assert_false(events_feed(&events, (const uint8_t *)&nonsense[i],
					 sizeof(nonsense[i]), &sink));
		assert_false(events_feed(&events, good, len, &sink));
		assert_int_equal(seen.bytes + seen.events, 0);
	}
}

struct place {
	char outer[PATH_MAX]; /* holds the directory and a canary */
	int fd;
};

static int open_place(void **state)
{
	static struct place place;
	char path[PATH_MAX + 8];

	(void)snprintf(place.outer, sizeof(place.outer), "/tmp/psb-files-XXXXXX");
	if (!mkdtemp(place.outer))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/in", place.outer);
	if (mkdir(path, 0700) < 0)
		return -1;
	place.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &place;
	return place.fd < 0;
}

static int close_place(void **state)
{
	struct place *place = *state;
	char path[PATH_MAX + 8];

	(void)unlinkat(place->fd, "d/f", 0);
	(void)unlinkat(place->fd, "d", AT_REMOVEDIR);
	(void)unlinkat(place->fd, "f", 0);
	(void)close(place->fd);
	(void)snprintf(path, sizeof(path), "%s/in", place->outer);
	(void)rmdir(path);
	return rmdir(place->outer); /* fails if anything else is in there */
}

static size_t put_file(uint8_t *to, uint32_t mode, const char *name, size_t name_bytes,
		       const char *data)
{
	const struct file_record record = {
		.mode = mode, .name_bytes = (uint32_t)name_bytes, .data_bytes = strlen(data)};

	memcpy(to, &record, sizeof(record));
	memcpy(to + sizeof(record), name, name_bytes);
	memcpy(to + sizeof(record) + name_bytes, data, strlen(data));
	return sizeof(record) + name_bytes + strlen(data);
}

static int feed(const struct place *place, const uint8_t *bytes, size_t len, size_t piece)
{
	struct files_in in = {
		.dir_fd = place->fd, .bytes_allowed = 100, .entries_allowed = 3, .fd = -1};
	int error;

	for (size_t at = 0; at < len; at += piece)
		files_in_feed(&in, bytes + at, len - at < piece ? len - at : piece);
	error = in.error ? in.error : files_in_complete(&in) ? 0 : EAGAIN;
	files_in_close(&in);
	return error;
}

static void files_arrive_whatever_the_pieces(void **state)
{
	const struct place *place = *state;
	uint8_t bytes[256];
	size_t len = put_file(bytes, S_IFDIR | 0755, "d", 1, "");

	len += put_file(bytes + len, S_IFREG | 0644, "d/f", 3, "content");
	len += put_file(bytes + len, S_IFREG | 0644, "f", 1, "");
	for (size_t piece = 1; piece < len; piece++) {
		char content[16] = "";
		int fd;

		assert_int_equal(feed(place, bytes, len, piece), 0);
		fd = openat(place->fd, "d/f", O_RDONLY | O_CLOEXEC);
		assert_int_equal(read(fd, content, sizeof(content)), 7);
		assert_string_equal(content, "content");
		(void)close(fd);
		assert_int_equal(unlinkat(place->fd, "d/f", 0), 0);
		assert_int_equal(unlinkat(place->fd, "d", AT_REMOVEDIR), 0);
		assert_int_equal(unlinkat(place->fd, "f", 0), 0);
	}
	assert_int_equal(feed(place, bytes, len - 1, len - 1), EAGAIN); /* not whole */
	assert_int_equal(unlinkat(place->fd, "d/f", 0), 0);
	assert_int_equal(unlinkat(place->fd, "d", AT_REMOVEDIR), 0);
}

/* That nothing was made outside is seen when the place is removed. */
static void no_name_leads_outside(void **state)
{
	static const struct {
		const char *name;
		size_t bytes;
	} names[] = {
		{"../f", 4}, {"/f", 2},   {"..", 2}, {".", 1},   {"d/../../f", 9}, {"", 0},
		{"f\0g", 3}, {"d//f", 4}, {"f/", 2}, {"./f", 3}, {"d/", 2},        {"../in/f", 7},
	};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint8_t bytes[128];
		size_t len = put_file(bytes, S_IFREG | 0644, names[i].name, names[i].bytes, "x");

		assert_int_equal(feed(place, bytes, len, 7), EBADMSG);
	}
}

static void links_and_devices_are_left_out(void **state)
{
	static const uint32_t modes[] = {S_IFLNK | 0777, S_IFCHR | 0666, S_IFIFO | 0666,
					 S_IFSOCK | 0666, 0};
	const struct place *place = *state;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		uint8_t bytes[128];
		size_t len = put_file(bytes, modes[i], "f", 1, "/etc/passwd");
		struct stat st;

		assert_int_equal(feed(place, bytes, len, len), 0);
		assert_int_equal(fstatat(place->fd, "f", &st, AT_SYMLINK_NOFOLLOW), -1);
	}
}

static void allowances_hold(void **state)
{
	const struct place *place = *state;
	struct file_record record = {.mode = S_IFREG, .name_bytes = 1, .data_bytes = 101};
	uint8_t bytes[256];
	size_t len = 0;

	assert_int_equal(feed(place, (const uint8_t *)&record, sizeof(record), 8), ENOSPC);
	record.data_bytes = UINT64_MAX;
	assert_int_equal(feed(place, (const uint8_t *)&record, sizeof(record), 8), ENOSPC);
	record.name_bytes = FILES_IN_NAME_BYTES + 1;
	assert_int_equal(feed(place, (const uint8_t *)&record, sizeof(record), 8), EBADMSG);
	for (int i = 0; i < 4; i++)
		len += put_file(bytes + len, S_IFLNK, "l", 1, "");
	assert_int_equal(feed(place, bytes, len, len), ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_survive_any_cut),
		cmocka_unit_test(nonsense_ends_the_events),
		cmocka_unit_test_setup_teardown(files_arrive_whatever_the_pieces, open_place,
						close_place),
		cmocka_unit_test_setup_teardown(no_name_leads_outside, open_place, close_place),
		cmocka_unit_test_setup_teardown(links_and_devices_are_left_out, open_place,
						close_place),
		cmocka_unit_test_setup_teardown(allowances_hold, open_place, close_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
