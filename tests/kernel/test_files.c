/*
 * Files by system call: the read-only image, tmpfs and its caps, descriptors, pipes, polling, and
 * what leaves for the host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#define CREATE (LX_O_RDWR | LX_O_CREAT)
#define MS UINT64_C(1000000)

static int set_up(void **state)
{
	*state = world_open();
	return 0;
}

static int tear_down(void **state)
{
	world_close(*state);
	return 0;
}

static int64_t open_at(struct world *world, const char *path, uint32_t flags)
{
	return CALL(world, __NR_openat, LX_AT_FDCWD, world_string(world, 0, path), flags, 0644);
}

static int64_t write_text(struct world *world, int64_t fd, const char *text)
{
	return CALL(world, __NR_write, fd, world_string(world, 8192, text), strlen(text));
}

static int64_t on_path(struct world *world, uint64_t number, const char *path, uint64_t argument)
{
	return CALL(world, number, world_string(world, 0, path), argument);
}

static int64_t on_paths(struct world *world, uint64_t number, const char *from, const char *to)
{
	return CALL(world, number, world_string(world, 0, from), world_string(world, 4096, to));
}

static uint64_t size_of(struct world *world, const char *path)
{
	struct lx_stat stat;

	assert_int_equal(on_path(world, __NR_stat, path, world_user(world, 16384)), 0);
	memcpy(&stat, world->user + 16384, sizeof(stat));
	return (uint64_t)stat.st_size;
}

static void test_the_image_is_read_only(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/link", LX_O_RDONLY);

	assert_int_equal(CALL(world, __NR_read, fd, world_user(world, 64), 100), 13);
	assert_memory_equal(world->user + 64, "hello, world\n", 13);
	assert_int_equal(CALL(world, __NR_read, fd, world_user(world, 64), 100), 0);
	assert_int_equal(write_text(world, fd, "x"), -EBADF);
	assert_int_equal(open_at(world, "/hello", LX_O_WRONLY), -EROFS);
	assert_int_equal(open_at(world, "/hello", LX_O_RDONLY | LX_O_TRUNC), -EROFS);
	assert_int_equal(open_at(world, "/new", CREATE), -EROFS);
	assert_int_equal(on_path(world, __NR_unlink, "/hello", 0), -EROFS);
	assert_int_equal(on_path(world, __NR_mkdir, "/made", 0755), -EROFS);
	assert_int_equal(on_path(world, __NR_truncate, "/hello", 0), -EROFS);
	assert_int_equal(on_path(world, __NR_chmod, "/hello", 0777), -EROFS);
	assert_int_equal(on_paths(world, __NR_rename, "/hello", "/hello2"), -EROFS);
	assert_int_equal(on_paths(world, __NR_rename, "/hello", "/tmp/hello"), -EXDEV);
	assert_int_equal(on_path(world, __NR_access, "/hello", 2), -EROFS);
	assert_int_equal(on_path(world, __NR_access, "/hello", 4), 0);
	assert_int_equal(on_path(world, __NR_access, "/hello", 1), -EACCES);
}

static void test_paths(void **state)
{
	struct world *world = *state;
	char path[VFS_PATH_MAX + 10];

	assert_int_equal(size_of(world, "/dir/../dir/./inner"), 6);
	assert_int_equal(size_of(world, "//dir//inner"), 6);
	assert_int_equal(size_of(world, "/../../hello"), 13);
	assert_int_equal(open_at(world, "/hello/", 0), -ENOTDIR);
	assert_int_equal(open_at(world, "/hello/x", 0), -ENOTDIR);
	assert_int_equal(open_at(world, "/none", 0), -ENOENT);
	assert_int_equal(open_at(world, "", 0), -ENOENT);
	assert_int_equal(open_at(world, "/link", LX_O_NOFOLLOW), -ELOOP);
	assert_int_equal(open_at(world, "/hello", LX_O_DIRECTORY), -ENOTDIR);
	assert_int_equal(on_paths(world, __NR_symlink, "loop", "/tmp/loop"), 0);
	assert_int_equal(open_at(world, "/tmp/loop", 0), -ELOOP);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[300] = 0;
	assert_int_equal(open_at(world, path, 0), -ENAMETOOLONG);
	path[300] = 'a';
	path[VFS_PATH_MAX + 5] = 0;
	assert_int_equal(open_at(world, path, 0), -ENAMETOOLONG);
	assert_int_equal(on_path(world, __NR_chdir, "/tmp", 0), 0);
	assert_int_equal(CALL(world, __NR_getcwd, world_user(world, 64), 100), 5);
	assert_string_equal((char *)world->user + 64, "/tmp");
	assert_int_equal(CALL(world, __NR_getcwd, world_user(world, 64), 4), -ERANGE);
	assert_int_equal(on_path(world, __NR_chdir, "../sandbox/workspace", 0), 0);
	assert_int_equal(CALL(world, __NR_getcwd, world_user(world, 64), 100), 19);
}

static void test_what_the_image_has_in_tmp_shows(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/tmp/venv/../venv/program", 0);

	assert_int_equal(CALL(world, __NR_read, fd, world_user(world, 64), 100), 7);
	assert_memory_equal(world->user + 64, "in /tmp", 7);
	assert_int_equal(open_at(world, "/tmp/venv/program", LX_O_RDWR), -EROFS);
	assert_int_equal(open_at(world, "/tmp/venv/other", CREATE), -EROFS);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/venv", 0), -EBUSY);
	assert_true(open_at(world, "/tmp/venv/../other", CREATE) >= 0);
	assert_int_equal(on_path(world, __NR_chdir, "/tmp/venv", 0), 0);
	assert_int_equal(CALL(world, __NR_getcwd, world_user(world, 64), 100), 10);
	assert_string_equal((char *)world->user + 64, "/tmp/venv");
}

static void test_every_name_counts_as_a_file(void **state)
{
	struct world *world = *state;
	struct tmpfs *tmpfs = &world->kernel.vfs.tmpfs;
	uint64_t files = tmpfs->used_files;

	assert_int_equal(CALL(world, __NR_close, open_at(world, "/tmp/f", CREATE)), 0);
	assert_int_equal(on_paths(world, __NR_link, "/tmp/f", "/tmp/g"), 0);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/g", "/tmp/h"), 0);
	assert_int_equal(tmpfs->used_files, files + 2);
	tmpfs->max_files = tmpfs->used_files;
	assert_int_equal(on_paths(world, __NR_link, "/tmp/f", "/tmp/i"), -ENOSPC);
	assert_true(world->kernel.vfs.disk_limit_hit);
	assert_int_equal(on_path(world, __NR_unlink, "/tmp/f", 0), 0);
	assert_int_equal(on_paths(world, __NR_link, "/tmp/h", "/tmp/i"), 0);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/h", "/tmp/other"), 0);
	assert_int_equal(on_path(world, __NR_unlink, "/tmp/i", 0), 0);
	assert_int_equal(on_path(world, __NR_unlink, "/tmp/other", 0), 0);
	assert_int_equal(tmpfs->used_files, files);
}

static void test_a_file_lives_as_long_as_it_is_open(void **state)
{
	struct world *world = *state;
	uint64_t files = world->kernel.vfs.tmpfs.used_files;
	int64_t fd = open_at(world, "/tmp/f", CREATE);

	assert_int_equal(write_text(world, fd, "some text"), 9);
	assert_int_equal(on_path(world, __NR_unlink, "/tmp/f", 0), 0);
	assert_int_equal(open_at(world, "/tmp/f", 0), -ENOENT);
	assert_int_equal(CALL(world, __NR_pread64, fd, world_user(world, 64), 4, 5), 4);
	assert_memory_equal(world->user + 64, "text", 4);
	assert_int_equal(world->kernel.vfs.tmpfs.used_files, files + 1);
	assert_int_equal(CALL(world, __NR_close, fd), 0);
	assert_int_equal(world->kernel.vfs.tmpfs.used_files, files);
	assert_int_equal(world->kernel.vfs.tmpfs.used_bytes, 0);
}

static void test_sizes_and_holes(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/tmp/f", CREATE);

	assert_int_equal(CALL(world, __NR_pwrite64, fd, world_string(world, 64, "end"), 3, 10000),
			 3);
	assert_int_equal(size_of(world, "/tmp/f"), 10003);
	assert_int_equal(CALL(world, __NR_pread64, fd, world_user(world, 64), 4, 9998), 4);
	assert_memory_equal(world->user + 64, "\0\0en", 4);
	assert_int_equal(CALL(world, __NR_ftruncate, fd, 10001), 0);
	assert_int_equal(CALL(world, __NR_ftruncate, fd, 10003), 0);
	assert_int_equal(CALL(world, __NR_pread64, fd, world_user(world, 64), 4, 9999), 4);
	assert_memory_equal(world->user + 64, "\0e\0\0", 4);
	assert_int_equal(CALL(world, __NR_lseek, fd, -3, LX_SEEK_END), 10000);
	assert_int_equal(CALL(world, __NR_lseek, fd, -1, LX_SEEK_SET), -EINVAL);
	assert_int_equal(CALL(world, __NR_lseek, fd, INT64_MAX, LX_SEEK_END), -EOVERFLOW);
	assert_int_equal(CALL(world, __NR_pwrite64, fd, world_user(world, 64), 3, INT64_MAX),
			 -EFBIG);
}

static void test_append_goes_to_the_end(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/tmp/f", CREATE | LX_O_APPEND);

	assert_int_equal(write_text(world, fd, "one"), 3);
	assert_int_equal(CALL(world, __NR_lseek, fd, 0, LX_SEEK_SET), 0);
	assert_int_equal(write_text(world, fd, "two"), 3);
	assert_int_equal(size_of(world, "/tmp/f"), 6);
}

static void test_the_caps_are_enospc(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/tmp/f", CREATE);
	char name[32];
	int64_t result = 0;

	assert_int_equal(CALL(world, __NR_ftruncate, fd, UINT64_C(8) << 20), 0);
	assert_int_equal(CALL(world, __NR_ftruncate, fd, (UINT64_C(8) << 20) + 1), -ENOSPC);
	assert_true(world->kernel.vfs.disk_limit_hit);
	assert_int_equal(open_at(world, "/tmp/g", CREATE) >= 0, 1);
	assert_int_equal(write_text(world, fd + 1, "x"), -ENOSPC);
	assert_int_equal(CALL(world, __NR_ftruncate, fd, 0), 0);
	assert_int_equal(write_text(world, fd + 1, "x"), 1);
	for (int i = 0; i < 1001 && result == 0; i++) {
		(void)snprintf(name, sizeof(name), "/tmp/d%d", i);
		result = on_path(world, __NR_mkdir, name, 0755);
	}
	assert_int_equal(result, -ENOSPC);
}

/* A name more counts as a file more, or a directory could grow without a bound. */
static void test_names_are_files_to_the_cap(void **state)
{
	struct world *world = *state;
	uint64_t used;
	char name[32];
	int64_t result = 0;
	int made = 0;

	assert_true(open_at(world, "/tmp/f", CREATE) > 0);
	used = world->kernel.vfs.tmpfs.used_files;
	while (made < 1001) {
		(void)snprintf(name, sizeof(name), "/tmp/l%d", made);
		result = on_paths(world, __NR_link, "/tmp/f", name);
		if (result < 0)
			break;
		made++;
	}
	assert_int_equal(result, -ENOSPC);
	assert_true(world->kernel.vfs.disk_limit_hit);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/f", "/tmp/g"), 0);
	assert_int_equal(on_paths(world, __NR_link, "/tmp/g", "/tmp/f"), -ENOSPC);
	assert_int_equal(on_path(world, __NR_unlink, "/tmp/l0", 0), 0);
	assert_int_equal(on_paths(world, __NR_link, "/tmp/g", "/tmp/f"), 0);
	for (int i = 1; i < made; i++) {
		(void)snprintf(name, sizeof(name), "/tmp/l%d", i);
		assert_int_equal(on_path(world, __NR_unlink, name, 0), 0);
	}
	assert_int_equal(on_path(world, __NR_unlink, "/tmp/g", 0), 0);
	assert_int_equal(world->kernel.vfs.tmpfs.used_files, used);
}

static void test_rename_rules(void **state)
{
	struct world *world = *state;

	assert_int_equal(on_path(world, __NR_mkdir, "/tmp/a", 0755), 0);
	assert_int_equal(on_path(world, __NR_mkdir, "/tmp/a/b", 0755), 0);
	assert_int_equal(on_path(world, __NR_mkdir, "/tmp/c", 0755), 0);
	assert_true(open_at(world, "/tmp/f", CREATE) > 0);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/a", "/tmp/a/b/x"), -EINVAL);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/f", "/tmp/a"), -EISDIR);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/a", "/tmp/f"), -ENOTDIR);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/c", "/tmp/a"), -ENOTEMPTY);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/a", "/tmp/c"), 0);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/c", 0), -ENOTEMPTY);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/c/b", 0), 0);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/c", 0), 0);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/f", 0), -ENOTDIR);
	assert_int_equal(on_path(world, __NR_unlink, "/tmp", 0), -EBUSY);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/.", 0), -EBUSY);
	assert_int_equal(on_paths(world, __NR_link, "/tmp/f", "/tmp/g"), 0);
	assert_int_equal(on_paths(world, __NR_rename, "/tmp/f", "/tmp/g"), 0);
	assert_int_equal(on_path(world, __NR_access, "/tmp/f", 0), 0); /* the same file: nothing */
}

/* Names that are removed while a listing goes on do not shift the rest. */
static void test_listing_survives_removal(void **state)
{
	struct world *world = *state;
	char name[32];
	int64_t fd;
	int seen = 0;

	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "/tmp/name-%02d", i);
		assert_true(CALL(world, __NR_close, open_at(world, name, CREATE)) == 0);
	}
	fd = open_at(world, "/tmp", LX_O_RDONLY | LX_O_DIRECTORY);
	for (;;) {
		int64_t got = CALL(world, __NR_getdents64, fd, world_user(world, 32768), 200);

		assert_true(got >= 0);
		if (got == 0)
			break;
		for (int64_t at = 0; at < got;) {
			struct lx_dirent head;
			const char *entry = (char *)world->user + 32768 + at;

			memcpy(&head, entry, LX_DIRENT_HEAD);
			at += head.d_reclen;
			if (head.d_type != LX_DT_REG)
				continue;
			seen++;
			(void)snprintf(name, sizeof(name), "/tmp/%s", entry + LX_DIRENT_HEAD);
			assert_int_equal(on_path(world, __NR_unlink, name, 0), 0);
		}
	}
	assert_int_equal(seen, 50);
	assert_int_equal(CALL(world, __NR_getdents64, fd, world_user(world, 32768), 5), 0);
	assert_int_equal(on_path(world, __NR_rmdir, "/tmp/name-00", 0), -ENOENT);
}

static void test_descriptors(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/hello", LX_O_CLOEXEC);
	int64_t last = fd;
	int64_t next;

	assert_int_equal(fd, 3);
	assert_int_equal(CALL(world, __NR_fcntl, fd, 1), 1);
	assert_int_equal(CALL(world, __NR_dup, fd), 4);
	assert_int_equal(CALL(world, __NR_fcntl, 4, 1), 0);
	assert_int_equal(CALL(world, __NR_dup2, fd, 10), 10);
	assert_int_equal(CALL(world, __NR_dup2, fd, fd), fd);
	assert_int_equal(CALL(world, __NR_dup3, fd, fd, 0), -EINVAL);
	assert_int_equal(CALL(world, __NR_dup2, fd, 100000), -EBADF);
	/* They share the position. */
	assert_int_equal(CALL(world, __NR_read, 4, world_user(world, 64), 7), 7);
	assert_int_equal(CALL(world, __NR_lseek, 10, 0, LX_SEEK_CUR), 7);
	assert_int_equal(CALL(world, __NR_close, fd), 0);
	assert_int_equal(CALL(world, __NR_close, fd), -EBADF);
	assert_int_equal(open_at(world, "/hello", 0), fd);
	while ((next = open_at(world, "/hello", 0)) >= 0)
		last = next;
	assert_int_equal(next, -EMFILE);
	assert_int_equal(last, 199);
	assert_int_equal(world->kernel.limits_hit, COMM_LIMIT_OPEN_FILES);
	assert_int_equal(CALL(world, __NR_close_range, 3, UINT32_MAX, 0), 0);
	assert_int_equal(CALL(world, __NR_read, GUEST_REQUEST_FD, world_user(world, 0), 1), -EBADF);
}

/* The C library asks for a descriptor's attributes by an empty path; a pipe has no node (a fault that
 * was there: it was told to be no directory). */
static void test_attributes_of_a_descriptor(void **state)
{
	struct world *world = *state;
	struct lx_stat stat;

	assert_int_equal(CALL(world, __NR_pipe, world_user(world, 0)), 0);
	world->user[64] = 0;
	assert_int_equal(CALL(world, __NR_newfstatat, 3, world_user(world, 64),
			      world_user(world, 128), LX_AT_EMPTY_PATH),
			 0);
	memcpy(&stat, world->user + 128, sizeof(stat));
	assert_int_equal(stat.st_mode, LX_S_IFIFO | 0600);
	assert_int_equal(CALL(world, __NR_newfstatat, 77, world_user(world, 64),
			      world_user(world, 128), LX_AT_EMPTY_PATH),
			 -EBADF);
	assert_int_equal(
		CALL(world, __NR_newfstatat, 3, world_user(world, 64), world_user(world, 128), 0),
		-ENOENT);
}

static void test_the_result_cannot_be_closed(void **state)
{
	struct world *world = *state;

	assert_int_equal(CALL(world, __NR_close, GUEST_RESULT_FD), 0);
	assert_int_equal(CALL(world, __NR_dup2, 1, GUEST_RESULT_FD), -EBADF); /* over the limit */
	world->kernel.fds.limit = FD_TABLE_SIZE;
	assert_int_equal(CALL(world, __NR_dup2, 1, GUEST_RESULT_FD), GUEST_RESULT_FD);
	assert_int_equal(CALL(world, __NR_dup3, 1, GUEST_RESULT_FD, 0), GUEST_RESULT_FD);
	assert_int_equal(CALL(world, __NR_close_range, 0, UINT32_MAX, 0), 0);
	assert_int_equal(write_text(world, 1, "x"), -EBADF);
	assert_int_equal(write_text(world, GUEST_RESULT_FD, "result"), 6);
	assert_int_equal(((struct output_record *)(void *)world->output)->stream, STREAM_RESULT);
}

static void make_pipe(struct world *world, uint32_t flags)
{
	assert_int_equal(CALL(world, __NR_pipe2, world_user(world, 0), flags), 0);
	assert_int_equal(((int32_t *)(void *)world->user)[0], 3);
	assert_int_equal(((int32_t *)(void *)world->user)[1], 4);
}

static void test_pipes(void **state)
{
	struct world *world = *state;

	make_pipe(world, LX_O_NONBLOCK);
	assert_int_equal(CALL(world, __NR_read, 3, world_user(world, 64), 10), -EAGAIN);
	assert_int_equal(CALL(world, __NR_write, 4, world_user(world, 0), 100000), 65536);
	assert_int_equal(CALL(world, __NR_write, 4, world_user(world, 0), 1), -EAGAIN);
	assert_int_equal(CALL(world, __NR_read, 3, world_user(world, 64), 4000), 4000);
	assert_int_equal(CALL(world, __NR_write, 4, world_user(world, 0), 4096), -EAGAIN);
	assert_int_equal(CALL(world, __NR_write, 4, world_user(world, 0), 5000), 4000);
	assert_int_equal(CALL(world, __NR_read, 4, world_user(world, 64), 1), -EBADF);
	assert_int_equal(CALL(world, __NR_lseek, 3, 0, 0), -ESPIPE);
	assert_int_equal(CALL(world, __NR_fcntl, 3, 1031, 131072), 131072);
	assert_int_equal(CALL(world, __NR_close, 4), 0);
	assert_int_equal(CALL(world, __NR_read, 3, world_user(world, 64), 100000), 65536);
	assert_int_equal(CALL(world, __NR_read, 3, world_user(world, 64), 10), 0);
}

static void test_a_broken_pipe(void **state)
{
	struct world *world = *state;
	struct signal_action ignore = {.handler = LX_SIG_IGN};

	make_pipe(world, 0);
	assert_int_equal(CALL(world, __NR_close, 3), 0);
	memcpy(world->user + 64, &ignore, sizeof(ignore));
	assert_int_equal(CALL(world, __NR_rt_sigaction, LX_SIGPIPE, world_user(world, 64), 0, 8),
			 0);
	assert_int_equal(CALL(world, __NR_write, 4, world_user(world, 0), 1), -EPIPE);
	memset(world->user + 64, 0, sizeof(ignore));
	assert_int_equal(CALL(world, __NR_rt_sigaction, LX_SIGPIPE, world_user(world, 64), 0, 8),
			 0);
	assert_int_equal(CALL(world, __NR_write, 4, world_user(world, 0), 1), INT64_MIN);
	assert_int_equal(world->exit_value, LX_SIGPIPE);
}

/* A blocking write of more than the pipe holds goes on as the other thread reads. */
static void test_a_long_write_waits_for_the_reader(void **state)
{
	struct world *world = *state;
	uint64_t total = 0;
	int64_t written = 0;

	make_pipe(world, 0);
	(void)world_thread(world);
	for (uint64_t i = 0; i < 200000; i++)
		world->user[65536 + i] = (uint8_t)(i * 7 >> 3);
	CALL(world, __NR_write, 4, world_user(world, 65536), 200000);
	for (int i = 0; i < 100 && total < 200000; i++) {
		/* What a call answers is the running thread's last result. */
		int64_t got = world->kernel.current->tid == 100
				      ? CALL(world, __NR_sched_yield, 0)
				      : CALL(world, __NR_read, 3, world_user(world, 524288 + total),
					     50000);

		if (world->kernel.current->tid != 100 && got > 0)
			total += (uint64_t)got;
		else if (got > 0)
			written = got;
	}
	assert_int_equal(total, 200000);
	assert_memory_equal(world->user + 65536, world->user + 524288, 200000);
	assert_int_equal(written, 200000);
}

static void test_socketpairs(void **state)
{
	struct world *world = *state;

	assert_int_equal(CALL(world, __NR_socket, 2, 1, 0), -EPERM);
	assert_int_equal(CALL(world, __NR_socketpair, 2, 1, 0, world_user(world, 0)), -EPERM);
	assert_int_equal(
		CALL(world, __NR_socketpair, 1, 2 | LX_O_NONBLOCK, 0, world_user(world, 0)), 0);
	assert_int_equal(CALL(world, __NR_sendto, 3, world_string(world, 64, "packet"), 6, 0), 6);
	assert_int_equal(CALL(world, __NR_sendto, 3, world_string(world, 64, "second"), 6, 0), 6);
	assert_int_equal(CALL(world, __NR_recvfrom, 4, world_user(world, 64), 3, 0), 3);
	assert_int_equal(CALL(world, __NR_recvfrom, 4, world_user(world, 64), 100, 0), 6);
	assert_memory_equal(world->user + 64, "second", 6);
	assert_int_equal(CALL(world, __NR_recvfrom, 4, world_user(world, 64), 100, 0), -EAGAIN);
	assert_int_equal(CALL(world, __NR_connect, 3, 0, 0), -EPERM);
	assert_int_equal(CALL(world, __NR_shutdown, 3, 1), 0);
	assert_int_equal(CALL(world, __NR_read, 4, world_user(world, 64), 10), 0);
	assert_int_equal(CALL(world, __NR_sendto, 3, world_user(world, 64), 1, 0x4000), -EPIPE);
	assert_int_equal(CALL(world, __NR_shutdown, 1, 1), -ENOTSOCK);
}

/* Descriptors cannot be sent: there is nobody else to have them. */
static void test_control_messages_are_refused(void **state)
{
	struct world *world = *state;
	uint64_t message[7] = {0, 0, 0, 0, 0, 16, 0};

	assert_int_equal(CALL(world, __NR_socketpair, 1, 1, 0, world_user(world, 0)), 0);
	message[4] = world_user(world, 512);
	memcpy(world->user + 64, message, sizeof(message));
	assert_int_equal(CALL(world, __NR_sendmsg, 3, world_user(world, 64), 0), -EPERM);
}

static void test_poll_and_its_time(void **state)
{
	struct world *world = *state;
	struct {
		int32_t fd;
		int16_t events, revents;
	} polled[3] = {{3, LX_POLLIN, 0}, {4, LX_POLLOUT, 0}, {77, LX_POLLIN, 0}};

	make_pipe(world, 0);
	memcpy(world->user + 64, polled, sizeof(polled));
	assert_int_equal(CALL(world, __NR_poll, world_user(world, 64), 1, 25), 0);
	assert_int_equal(world->waited_ns, 25 * MS);
	assert_int_equal(CALL(world, __NR_poll, world_user(world, 64), 1, 0), 0);
	assert_int_equal(CALL(world, __NR_poll, world_user(world, 64), 3, UINT64_MAX), 2);
	memcpy(polled, world->user + 64, sizeof(polled));
	assert_int_equal(polled[1].revents, LX_POLLOUT);
	assert_int_equal(polled[2].revents, LX_POLLNVAL);
	assert_int_equal(CALL(world, __NR_close, 4), 0);
	assert_int_equal(CALL(world, __NR_poll, world_user(world, 64), 1, UINT64_MAX), 1);
	memcpy(polled, world->user + 64, sizeof(polled));
	assert_int_equal(polled[0].revents, LX_POLLHUP);
	assert_int_equal(CALL(world, __NR_poll, world_user(world, 64), 5000, 0), -EINVAL);
}

static void test_select(void **state)
{
	struct world *world = *state;
	uint64_t *sets = (void *)(world->user + 64);

	make_pipe(world, 0);
	sets[0] = 1u << 3;
	sets[16] = 1u << 4;
	assert_int_equal(CALL(world, __NR_select, 5, world_user(world, 64),
			      world_user(world, 64 + 128), 0, 0),
			 1);
	assert_int_equal(sets[0], 0);
	assert_int_equal(sets[16], 1u << 4);
	sets[0] = 1u << 9;
	assert_int_equal(CALL(world, __NR_select, 10, world_user(world, 64), 0, 0, 0), -EBADF);
}

struct event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));

static int64_t control(struct world *world, int64_t epoll, int operation, int fd, uint32_t events)
{
	struct event event = {events, (uint64_t)fd};

	memcpy(world->user + 64, &event, sizeof(event));
	return CALL(world, __NR_epoll_ctl, epoll, operation, fd, world_user(world, 64));
}

static int64_t wait_events(struct world *world, int64_t epoll, int ms)
{
	return CALL(world, __NR_epoll_wait, epoll, world_user(world, 128), 10, ms);
}

static void test_epoll(void **state)
{
	struct world *world = *state;
	int64_t epoll = CALL(world, __NR_epoll_create1, 0);

	assert_int_equal(epoll, 3);
	assert_int_equal(CALL(world, __NR_pipe, world_user(world, 0)), 0); /* 4 and 5 */
	assert_int_equal(control(world, epoll, 1, 4, LX_POLLIN), 0);
	assert_int_equal(control(world, epoll, 1, 4, LX_POLLIN), -EEXIST);
	assert_int_equal(control(world, epoll, 3, 5, LX_POLLIN), -ENOENT);
	assert_int_equal(control(world, epoll, 1, 3, LX_POLLIN), -EINVAL);
	assert_int_equal(control(world, epoll, 1, (int)open_at(world, "/hello", 0), LX_POLLIN),
			 -EPERM);
	assert_int_equal(wait_events(world, epoll, 10), 0);
	assert_int_equal(world->waited_ns, 10 * MS);
	assert_int_equal(CALL(world, __NR_write, 5, world_user(world, 0), 1), 1);
	assert_int_equal(wait_events(world, epoll, -1), 1);
	assert_int_equal(wait_events(world, epoll, -1), 1); /* level-triggered */
	assert_int_equal(control(world, epoll, 3, 4, LX_POLLIN | 0x80000000u), 0);
	assert_int_equal(wait_events(world, epoll, 0), 1);
	assert_int_equal(wait_events(world, epoll, 0), 0); /* edge-triggered */
	assert_int_equal(control(world, epoll, 3, 4, LX_POLLIN | 0x40000000u), 0);
	assert_int_equal(wait_events(world, epoll, 0), 1);
	assert_int_equal(wait_events(world, epoll, 0), 0); /* once */
	/* Closing the last descriptor takes it off the list, and the writer sees it. */
	assert_int_equal(CALL(world, __NR_dup, 4), 7);
	assert_int_equal(CALL(world, __NR_close, 4), 0);
	assert_int_equal(CALL(world, __NR_close, 7), 0);
	assert_int_equal(CALL(world, __NR_fcntl, 5, 1032), 65536);
	assert_int_equal(CALL(world, __NR_close, epoll), 0);
	assert_null(world->kernel.epolls);
}

static void test_eventfd_and_timerfd(void **state)
{
	struct world *world = *state;
	uint64_t value = 5;
	const struct lx_timespec times[2] = {{0, 10 * MS}, {0, 30 * MS}};

	assert_int_equal(CALL(world, __NR_eventfd2, 0, LX_O_NONBLOCK), 3);
	assert_int_equal(CALL(world, __NR_read, 3, world_user(world, 0), 8), -EAGAIN);
	memcpy(world->user, &value, 8);
	assert_int_equal(CALL(world, __NR_write, 3, world_user(world, 0), 8), 8);
	assert_int_equal(CALL(world, __NR_write, 3, world_user(world, 0), 7), -EINVAL);
	assert_int_equal(CALL(world, __NR_read, 3, world_user(world, 8), 8), 8);
	assert_memory_equal(world->user + 8, &value, 8);
	assert_int_equal(CALL(world, __NR_timerfd_create, 1, 0), 4);
	memcpy(world->user, times, sizeof(times));
	assert_int_equal(CALL(world, __NR_timerfd_settime, 4, 0, world_user(world, 0), 0), 0);
	assert_int_equal(CALL(world, __NR_read, 4, world_user(world, 64), 8), 8);
	assert_int_equal(world->waited_ns, 30 * MS);
	world->clock_ns += 35 * MS;
	assert_int_equal(CALL(world, __NR_read, 4, world_user(world, 64), 8), 8);
	assert_int_equal(world->user[64], 3);
	assert_int_equal(CALL(world, __NR_close, 4), 0);
	assert_int_equal(world->kernel.vfs.timer_count, 0);
}

static void test_devices_and_proc(void **state)
{
	struct world *world = *state;
	int64_t fd = open_at(world, "/dev/zero", LX_O_RDWR);

	memset(world->user + 64, 1, 10);
	assert_int_equal(CALL(world, __NR_read, fd, world_user(world, 64), 10), 10);
	assert_int_equal(world->user[73], 0);
	fd = open_at(world, "/dev/full", LX_O_RDWR);
	assert_int_equal(write_text(world, fd, "x"), -ENOSPC);
	fd = open_at(world, "/proc/self/status", 0);
	assert_true(CALL(world, __NR_read, fd, world_user(world, 64), 4000) > 100);
	assert_non_null(strstr((char *)world->user + 64, "Pid:\t100\n"));
	fd = open_at(world, "/proc/self/maps", 0);
	assert_true(CALL(world, __NR_read, fd, world_user(world, 64), 4000) > 40);
	assert_int_equal(open_at(world, "/proc/self/environ", 0), -ENOENT);
	assert_int_equal(open_at(world, "/proc/version", LX_O_WRONLY), -EROFS);
	assert_int_equal(open_at(world, "/dev/shm/x", CREATE) > 0, 1);
}

static void test_output_reaches_the_host(void **state)
{
	struct world *world = *state;

	assert_int_equal(write_text(world, 1, "out "), 4);
	assert_int_equal(write_text(world, 1, "more "), 5);
	assert_int_equal(write_text(world, 2, "err"), 3);
	assert_int_equal(CALL(world, __NR_write, GUEST_RESULT_FD, world_user(world, 65536), 600000),
			 600000);
	assert_int_equal(CALL(world, __NR_exit_group, 0), INT64_MIN);
	assert_int_equal(world->seen_bytes, 600012);
	assert_memory_equal(world->seen, "out more err", 12);
}

static void test_the_request_begins_a_run(void **state)
{
	struct world *world = *state;

	world->request = "the request";
	world->run.generation = 2;
	world->run.pid = 4242;
	assert_int_equal(CALL(world, __NR_read, GUEST_REQUEST_FD, world_user(world, 64), 100), 11);
	assert_memory_equal(world->user + 64, "the request", 11);
	assert_int_equal(CALL(world, __NR_getpid, 0), 4242);
	assert_int_equal(CALL(world, __NR_gettid, 0), 4242);
	assert_int_equal(CALL(world, __NR_read, GUEST_REQUEST_FD, world_user(world, 64), 100), 0);
}

static void test_the_workspace_is_collected(void **state)
{
	struct world *world = *state;
	struct file_record record;
	const char *at = world->seen;

	assert_int_equal(on_path(world, __NR_mkdir, "d", 0755), 0);
	assert_int_equal(write_text(world, open_at(world, "d/f", CREATE), "contents"), 8);
	assert_int_equal(on_paths(world, __NR_symlink, "d/f", "z"), 0);
	collect_workspace(&world->kernel);
	assert_int_equal(CALL(world, __NR_exit_group, 0), INT64_MIN);
	memcpy(&record, at, sizeof(record));
	assert_int_equal(record.mode, LX_S_IFDIR | 0755);
	assert_memory_equal(at + sizeof(record), "d", 1);
	at += sizeof(record) + 1;
	memcpy(&record, at, sizeof(record));
	assert_int_equal(record.mode, LX_S_IFREG | 0644);
	assert_int_equal(record.data_bytes, 8);
	assert_memory_equal(at + sizeof(record), "d/fcontents", 11);
	at += sizeof(record) + 11;
	memcpy(&record, at, sizeof(record));
	assert_int_equal(record.mode, LX_S_IFLNK | 0777);
	assert_memory_equal(at + sizeof(record), "zd/f", 4);
	assert_int_equal(world->seen + world->seen_bytes - at, sizeof(record) + 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_image_is_read_only),
		TEST(test_paths),
		TEST(test_what_the_image_has_in_tmp_shows),
		TEST(test_every_name_counts_as_a_file),
		TEST(test_a_file_lives_as_long_as_it_is_open),
		TEST(test_sizes_and_holes),
		TEST(test_append_goes_to_the_end),
		TEST(test_the_caps_are_enospc),
		TEST(test_names_are_files_to_the_cap),
		TEST(test_rename_rules),
		TEST(test_listing_survives_removal),
		TEST(test_descriptors),
		TEST(test_attributes_of_a_descriptor),
		TEST(test_the_result_cannot_be_closed),
		TEST(test_pipes),
		TEST(test_a_broken_pipe),
		TEST(test_a_long_write_waits_for_the_reader),
		TEST(test_socketpairs),
		TEST(test_control_messages_are_refused),
		TEST(test_poll_and_its_time),
		TEST(test_select),
		TEST(test_epoll),
		TEST(test_eventfd_and_timerfd),
		TEST(test_devices_and_proc),
		TEST(test_output_reaches_the_host),
		TEST(test_the_request_begins_a_run),
		TEST(test_the_workspace_is_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
