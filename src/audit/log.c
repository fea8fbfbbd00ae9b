/*
 * Appending to a log that several processes share. Every append takes the lock, makes sure where
 * the chain ends, and writes its lines with one write() to a descriptor in append mode. Where the
 * file has grown since this handle wrote last, its end is read again: the true last record decides,
 * not what this process remembers. An unfinished line of a killed writer is closed off first
 * (tail.c), an empty file gets a `begin` record that names the head it continues.
 *
 * Trust boundary: the file's contents are what others wrote; tail.c treats them as hostile. Bytes
 * are never removed or changed, so the file may be kept append-only (chattr +a), but for rotation.
 */
#include "audit/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/tail.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/json_write.h"

#define NEAR_WINDOW_BYTES (32u << 10)
#define WIDE_WINDOW_BYTES (4u * AUDIT_MAX_LINE_BYTES)
#define MAX_WRITE_BYTES (3u * AUDIT_MAX_LINE_BYTES)

void audit_log_init(struct audit_log *log)
{
	*log = (struct audit_log){.fd = -1, .old_fd = -1, .size = UINT64_MAX};
}

void audit_log_close(struct audit_log *log)
{
	close_fd(&log->old_fd);
	close_fd(&log->fd);
	free(log->path);
	audit_key_forget(&log->key);
	audit_log_init(log);
}

static int read_at(const struct audit_log *log, uint64_t offset, uint8_t *out, size_t len,
		   struct psb_error *err)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = pread(log->fd, out + have, len - have, (off_t)(offset + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return psb_fail(err, PSB_E_AUDIT, n < 0 ? errno : 0,
					"audit: the end of %.300s cannot be read", log->path);
		have += (size_t)n;
	}
	return 0;
}

/* Seals `len` bytes behind the last record, which are no record, into a `torn` one. */
static int write_torn(struct audit_log *log, const uint8_t *text, size_t len, struct buffer *out)
{
	const char *mark = text[len - 1] == '\n' ? "" : AUDIT_TORN_MARK "\n";
	struct sha256 hash;
	uint8_t digest[32];
	char hex[AUDIT_HASH_CHARS + 1];
	char body[AUDIT_HASH_CHARS + 96];
	int error = buffer_append_text(out, mark);
	int n;

	sha256_init(&hash);
	sha256_update(&hash, text, len);
	sha256_update(&hash, mark, strlen(mark));
	sha256_final(&hash, digest);
	audit_hex(digest, hex);
	n = snprintf(body, sizeof(body), "\"event\":\"torn\",\"bytes\":%zu,\"sha256\":\"%s\"",
		     len + strlen(mark), hex);
	return error ? error : audit_line_write(&log->key, &log->head, body, (size_t)n, out);
}

static int close_off(struct audit_log *log, const struct tail *tail, const uint8_t *window,
		     size_t len, struct psb_error *err)
{
	bool first = log->head.seq == 0;
	struct buffer text;
	int error = 0;

	buffer_init(&text, MAX_WRITE_BYTES);
	if (tail->state == TAIL_NO_EOL)
		error = buffer_append(&text, "\n", 1);
	else
		error = write_torn(log, window + tail->torn_at, len - tail->torn_at, &text);
	if (!error && first)
		error = audit_write_begin(log, &log->head, &text);
	if (error)
		error = psb_fail(err, error, 0, "audit: out of memory");
	else
		error = audit_log_write(log, &text, err);
	if (!error)
		log->torn_closed += tail->state == TAIL_TORN;
	buffer_free(&text);
	return error;
}

/* Looks at the last `len` bytes. 1: they do not reach back to a record. */
static int look(struct audit_log *log, uint64_t size, size_t len, struct psb_error *err)
{
	auto_free uint8_t *window = malloc(len);
	struct tail tail;
	int error;

	if (!window)
		return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
	error = read_at(log, size - len, window, len, err);
	if (error)
		return error;
	tail_find(&log->key, window, len, len == size, &tail);
	if (tail.state == TAIL_UNKNOWN)
		return 1;
	if (tail.state == TAIL_FOREIGN)
		return psb_fail(err, PSB_E_AUDIT, 0,
				"audit: %.240s does not end in a record of this chain: it was "
				"changed, or has another key, or is no audit log; verify it, then "
				"move it away or name another file",
				log->path);
	log->head = tail.head;
	log->size = size;
	return tail.state == TAIL_WHOLE ? 0 : close_off(log, &tail, window, len, err);
}

int audit_log_find_end(struct audit_log *log, struct psb_error *err)
{
	struct stat st;
	uint64_t size;
	int error;

	if (fstat(log->fd, &st) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s", log->path);
	size = (uint64_t)st.st_size;
	if (size == log->size)
		return 0;
	if (size == 0) {
		log->size = 0;
		return 0;
	}
	error = look(log, size, size < NEAR_WINDOW_BYTES ? (size_t)size : NEAR_WINDOW_BYTES, err);
	if (error == 1)
		error = look(log, size, size < WIDE_WINDOW_BYTES ? (size_t)size : WIDE_WINDOW_BYTES,
			     err);
	if (error == 1)
		error = psb_fail(err, PSB_E_AUDIT, 0,
				 "audit: the last %u bytes of %.300s hold no record; is it an "
				 "audit log?",
				 WIDE_WINDOW_BYTES, log->path);
	if (error)
		log->size = UINT64_MAX;
	return error;
}

int audit_log_write(struct audit_log *log, const struct buffer *text, struct psb_error *err)
{
	size_t sent = 0;

	while (sent < text->len) {
		ssize_t n = write(log->fd, text->data + sent, text->len - sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log->size = UINT64_MAX;
			return psb_fail(err, PSB_E_AUDIT, n < 0 ? errno : 0,
					"audit: %.300s cannot be written; make room or name "
					"another file",
					log->path);
		}
		sent += (size_t)n;
	}
	log->size += text->len;
	return 0;
}

int audit_write_begin(const struct audit_log *log, struct audit_head *head, struct buffer *out)
{
	char host[65] = "";
	struct json_writer writer;
	struct buffer body;
	int error;

	(void)gethostname(host, sizeof(host) - 1);
	for (char *at = host; *at; at++)
		*at = (*at > ' ' && *at < 0x7f) ? *at : '?';
	buffer_init(&body, 1024);
	json_writer_init(&writer, &body);
	json_key(&writer, "event");
	json_put_text(&writer, "begin");
	json_key(&writer, "chain");
	json_put_text(&writer, log->key.keyed ? "hmac-sha256" : "sha256");
	json_key(&writer, "key_id");
	json_put_text(&writer, log->key.keyed ? log->key.id : NULL);
	json_key(&writer, "library");
	json_put_text(&writer, psb_version());
	json_key(&writer, "host");
	json_put_text(&writer, host);
	error = writer.error;
	if (!error)
		error = audit_line_write(&log->key, head, buffer_text(&body), body.len, out);
	buffer_free(&body);
	return error;
}

static int compose(const struct audit_log *log, const char *body, size_t body_len,
		   struct audit_head *head, struct buffer *out)
{
	int error = log->size == 0 ? audit_write_begin(log, head, out) : 0;
	size_t start = out->len;

	if (!error)
		error = audit_line_write(&log->key, head, body, body_len, out);
	if (!error && out->len - start > AUDIT_MAX_LINE_BYTES)
		error = PSB_E_TOO_LARGE;
	return error;
}

static int append(struct audit_log *log, const char *body, size_t body_len, struct psb_error *err)
{
	struct audit_head head = log->head;
	struct buffer text;
	int error;

	buffer_init(&text, MAX_WRITE_BYTES);
	error = compose(log, body, body_len, &head, &text);
	if (error)
		error = psb_fail(err, error, 0, "audit: a record of %zu bytes: %s", body_len,
				 psb_error_text(error));
	else
		error = audit_log_write(log, &text, err);
	if (!error)
		log->head = head;
	buffer_free(&text);
	return error;
}

int audit_log_sync_folder(const struct audit_log *log, struct psb_error *err)
{
	auto_free char *folder = strdup(log->path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	auto_fd fd = -1;

	if (!folder)
		return psb_fail(err, PSB_E_MEMORY, 0, "audit: out of memory");
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: the folder of %.300s: fsync",
				log->path);
	return 0;
}

static int synchronize(const struct audit_log *log, bool was_empty, struct psb_error *err)
{
	if (fdatasync(log->fd) != 0)
		return psb_fail(err, PSB_E_AUDIT, errno, "audit: %.300s: fdatasync", log->path);
	return was_empty ? audit_log_sync_folder(log, err) : 0;
}

int audit_log_check(struct audit_log *log, struct psb_error *err)
{
	int error = audit_log_lock(log, err);

	if (!error)
		audit_log_unlock(log);
	return error;
}

int audit_log_append(struct audit_log *log, const char *body, size_t body_len, bool sync,
		     struct psb_error *err)
{
	bool was_empty;
	int error = audit_log_lock(log, err);

	if (error)
		return error;
	was_empty = log->size == 0;
	if (log->rotate_bytes && log->size >= log->rotate_bytes)
		error = audit_log_rotate(log, sync, err);
	if (!error)
		error = append(log, body, body_len, err);
	audit_log_unlock(log);
	if (!error && sync)
		error = synchronize(log, was_empty, err);
	return error;
}
