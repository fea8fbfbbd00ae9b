/*
 * Open files and descriptors.
 */
#ifndef PSB_KERNEL_FILE_H
#define PSB_KERNEL_FILE_H

#include "vfs.h"

#define FD_TABLE_SIZE 1024u

struct file_ops {
	/* Bytes done or a negative errno; -EAGAIN: nothing yet. position is NULL for a stream, else
	 * where to, and it moves. */
	int64_t (*read)(struct file *file, void *buffer, uint64_t bytes, uint64_t *position);
	int64_t (*write)(struct file *file, const void *buffer, uint64_t bytes, uint64_t *position);
	uint32_t (*poll)(struct file *file); /* NULL: always readable and writable */
	void (*release)(struct file *file);
	/* FIONREAD; NULL: 0 bytes */
	uint64_t (*available)(struct file *file);
	uint32_t kind_mode; /* st_mode of what has no node */
	bool seekable;
};

struct file {
	const struct file_ops *ops;
	struct vfs *vfs;
	uint32_t references;
	uint32_t watchers; /* those of the references that are epoll's */
	uint32_t flags;    /* LX_O_… without CLOEXEC, which is the descriptor's */
	uint64_t position;
	struct node node; /* held; .ops NULL: pipe, eventfd and the like */
	void *object;     /* of the ops; also what notify() names */
	uint32_t serial;  /* a number for st_ino and /proc/self/fd */
};

struct fd_table {
	struct file *files[FD_TABLE_SIZE];
	uint64_t close_on_exec[FD_TABLE_SIZE / 64];
	uint32_t limit;     /* new descriptors are below it */
	uint32_t next_hint; /* no free one below */
	/* The result's: closing or replacing it succeeds and changes nothing, so that a program which
	 * closes all it does not know still has a result. */
	struct file *kept;
};

/* A new open file with one reference and no node, or NULL. */
struct file *file_new(struct vfs *vfs, const struct file_ops *ops, void *object, uint32_t flags);
void file_hold(struct file *file);
void file_drop(struct file *file); /* NULL is fine */
int64_t file_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position);
int64_t file_write(struct file *file, const void *buffer, uint64_t bytes, uint64_t *position);
uint32_t file_poll(struct file *file);
int64_t file_seek(struct file *file, int64_t offset, uint32_t whence);
int64_t file_list(struct file *file, void *buffer, uint64_t bytes); /* getdents64 */
void file_attributes(struct file *file, struct attributes *out);

/* Takes the reference on success. The lowest free descriptor from minimum on, or -EMFILE. */
int fd_install(struct fd_table *table, struct file *file, uint32_t minimum, bool close_on_exec);
/* At that descriptor, replacing what is there. */
int fd_install_at(struct fd_table *table, struct file *file, uint32_t fd, bool close_on_exec);
/* Borrowed, or NULL. */
struct file *fd_get(struct fd_table *table, uint64_t fd);
int fd_close(struct fd_table *table, uint64_t fd);
bool fd_closes_on_exec(const struct fd_table *table, uint32_t fd);
void fd_set_close_on_exec(struct fd_table *table, uint32_t fd, bool value);

/* -- kinds of open files -- */
int pipe_make(struct vfs *vfs, uint32_t flags, struct file *ends[2]);
int socketpair_make(struct vfs *vfs, uint32_t flags, bool datagrams, struct file *ends[2]);
int socketpair_shutdown(struct file *file, uint32_t how); /* -ENOTSOCK for others */
bool file_is_socket(const struct file *file);
bool socketpair_packets(const struct file *file);
/* Bytes of a pipe's buffer; set: at least this much, returns the new size or a negative errno. */
int64_t pipe_capacity(struct file *file);
int64_t pipe_set_capacity(struct file *file, uint64_t bytes);
int eventfd_make(struct vfs *vfs, uint64_t value, bool semaphore, uint32_t flags,
		 struct file **made);
int timerfd_make(struct vfs *vfs, enum clock_kind clock, uint32_t flags, struct file **made);
/* Times in ns of the timer's own clock; 0 disarms. */
int timerfd_set(struct file *file, uint64_t first_ns, uint64_t period_ns, bool absolute);
int timerfd_get(struct file *file, uint64_t *left_ns, uint64_t *period_ns);
/* Steady-clock moment of the next expiry, or NEVER_NS; also for files that are no timers. */
uint64_t file_next_event(struct file *file);
int stream_output_make(struct vfs *vfs, uint32_t stream, struct file **made);
int stream_request_make(struct vfs *vfs, struct file **made);

#endif
