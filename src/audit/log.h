/* The file that records are appended to; shared with other processes. */
#ifndef PSB_AUDIT_LOG_H
#define PSB_AUDIT_LOG_H

#include <sys/stat.h>

#include "audit/chain.h"

/* Zeroed fields beyond path, key and rotate_bytes are right at the start; fds are -1. */
struct audit_log {
	char *path; /* owned */
	struct audit_key key;
	uint64_t rotate_bytes; /* 0: never */
	int fd;                /* -1: not open */
	int old_fd;            /* the file before this one, locked until the append is done */
	uint64_t size;         /* of the file when `head` was its end */
	struct audit_head head;
	uint64_t torn_closed;   /* unfinished lines of others that this handle closed off */
	uint64_t rotated_count; /* files that this handle put aside */
};

void audit_log_init(struct audit_log *log);
void audit_log_close(struct audit_log *log);

/* Opens the file if need be, takes its lock and finds the end of its chain; nothing is written.
 * PSB_E_AUDIT. */
int audit_log_check(struct audit_log *log, struct psb_error *err);
/* Appends one record (see audit_line_write()), closing off, beginning and rotating as needed.
 * `sync`: the record is on the disk when this returns. PSB_E_AUDIT, PSB_E_MEMORY. */
int audit_log_append(struct audit_log *log, const char *body, size_t body_len, bool sync,
		     struct psb_error *err);

/* log_lock.c */
int audit_log_lock(struct audit_log *log, struct psb_error *err);
void audit_log_unlock(struct audit_log *log);

/* log_rotate.c: the lock is held and the chain whole. */
int audit_log_rotate(struct audit_log *log, bool sync, struct psb_error *err);

/* log.c, for the two above */
int audit_log_find_end(struct audit_log *log, struct psb_error *err); /* and closes it off */
int audit_log_write(struct audit_log *log, const struct buffer *text, struct psb_error *err);
int audit_write_begin(const struct audit_log *log, struct audit_head *head, struct buffer *out);
int audit_log_sync_folder(const struct audit_log *log, struct psb_error *err);

#endif
