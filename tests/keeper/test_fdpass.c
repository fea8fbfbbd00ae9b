/* Messages are whole or void, and no descriptor stays open that was not asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fdpass.h"

struct message {
	uint64_t first;
	uint64_t second;
};

static int pair[2];

static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

static size_t open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

static int receive(struct message *message, int *fds, size_t max)
{
	return fdpass_receive(pair[1], message, sizeof(*message), fds, max, MSG_DONTWAIT, NULL);
}

static void test_whole_message_with_descriptors(void **state)
{
	const struct message sent = {1, 2};
	struct message got = {0};
	const int send_fds[2] = {0, 1};
	int fds[4];

	(void)state;
	assert_int_equal(fdpass_send(pair[0], &sent, sizeof(sent), send_fds, 2), 0);
	assert_int_equal(receive(&got, fds, 4), 2);
	assert_memory_equal(&got, &sent, sizeof(sent));
	assert_true(fds[0] > 2 && fds[1] > 2);
	assert_int_equal(fds[2], -1);
	assert_int_equal(close(fds[0]) | close(fds[1]), 0);
}

static void test_surplus_descriptors_are_closed(void **state)
{
	const struct message sent = {1, 2};
	struct message got;
	const int send_fds[FDPASS_MAX] = {0, 1, 2, 0, 1, 2, 0};
	size_t before = open_descriptors();
	int fd;

	(void)state;
	assert_int_equal(fdpass_send(pair[0], &sent, sizeof(sent), send_fds, FDPASS_MAX), 0);
	assert_int_equal(receive(&got, &fd, 1), 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(open_descriptors(), before);
}

static void test_other_sizes_are_void(void **state)
{
	const uint8_t sent[sizeof(struct message) + 8] = {1};
	struct message got;
	const size_t sizes[] = {1, sizeof(got) - 1, sizeof(got) + 8};
	size_t before = open_descriptors();
	const int zero = 0;
	int fd;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fdpass_send(pair[0], sent, sizes[i], &zero, 1), 0);
		assert_int_equal(receive(&got, &fd, 1), FDPASS_SIZE);
		assert_int_equal(fd, -1);
	}
	assert_int_equal(open_descriptors(), before);
}

static void test_empty_and_end_differ(void **state)
{
	struct message got;

	(void)state;
	assert_int_equal(receive(&got, NULL, 0), FDPASS_EMPTY);
	(void)close(pair[0]);
	assert_int_equal(receive(&got, NULL, 0), FDPASS_END);
}

/* No SIGPIPE: its default action would end this test. */
static void test_a_gone_peer_is_an_error(void **state)
{
	const struct message sent = {1, 2};

	(void)state;
	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(pair[1]);
	assert_int_equal(fdpass_send(pair[0], &sent, sizeof(sent), NULL, 0), -EPIPE);
}

static void test_the_kernel_names_the_sender(void **state)
{
	const struct message sent = {1, 2};
	struct message got;
	pid_t sender = 0;
	int one = 1;

	(void)state;
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
	assert_int_equal(fdpass_send(pair[0], &sent, sizeof(sent), NULL, 0), 0);
	assert_int_equal(fdpass_receive(pair[1], &got, sizeof(got), NULL, 0, 0, &sender), 0);
	assert_int_equal(sender, getpid());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole_message_with_descriptors),
		TEST(test_surplus_descriptors_are_closed),
		TEST(test_other_sizes_are_void),
		TEST(test_empty_and_end_differ),
		TEST(test_a_gone_peer_is_an_error),
		TEST(test_the_kernel_names_the_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
