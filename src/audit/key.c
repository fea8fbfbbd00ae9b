/*
 * The seal of a record and the key behind it. HMAC is the standard's construction over our
 * SHA-256, with both padded keys hashed once when the key is read.
 *
 * Trust boundary: a key that others can read proves nothing, so a key file must be a regular file
 * without any right for group and others. Key bytes are wiped from our own memory after use; the
 * mid-states that stay are worth as much as the key and are wiped with the handle.
 */
#include "audit/key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"

#define BLOCK_BYTES 64u

void audit_hex(const uint8_t digest[32], char out[AUDIT_HASH_CHARS + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 32; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[AUDIT_HASH_CHARS] = '\0';
}

void audit_seal(const struct audit_key *key, const void *text, size_t len,
		char out[AUDIT_HASH_CHARS + 1])
{
	struct sha256 hash;
	uint8_t digest[32];

	if (key->keyed)
		hash = key->inner;
	else
		sha256_init(&hash);
	sha256_update(&hash, text, len);
	sha256_final(&hash, digest);
	if (key->keyed) {
		hash = key->outer;
		sha256_update(&hash, digest, sizeof(digest));
		sha256_final(&hash, digest);
	}
	audit_hex(digest, out);
}

static void absorb_padded(struct sha256 *hash, const uint8_t block[BLOCK_BYTES], uint8_t pad)
{
	uint8_t padded[BLOCK_BYTES];

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		padded[i] = block[i] ^ pad;
	sha256_init(hash);
	sha256_update(hash, padded, sizeof(padded));
	explicit_bzero(padded, sizeof(padded));
}

void audit_key_set(struct audit_key *key, const void *bytes, size_t len)
{
	static const char label[] = "pysandbox audit key id";
	uint8_t block[BLOCK_BYTES] = {0};
	char id[AUDIT_HASH_CHARS + 1];

	if (len > BLOCK_BYTES) {
		struct sha256 hash;

		sha256_init(&hash);
		sha256_update(&hash, bytes, len);
		sha256_final(&hash, block);
	} else {
		memcpy(block, bytes, len);
	}
	key->keyed = true;
	absorb_padded(&key->inner, block, 0x36);
	absorb_padded(&key->outer, block, 0x5c);
	explicit_bzero(block, sizeof(block));
	audit_seal(key, label, sizeof(label) - 1, id);
	memcpy(key->id, id, 16);
	key->id[16] = '\0';
}

void audit_key_forget(struct audit_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

static int check_key_file(int fd, const char *path, struct psb_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "audit key: %.300s", path);
	if (!S_ISREG(st.st_mode))
		return psb_fail(err, PSB_E_INVALID, 0, "audit key: %.300s is no regular file",
				path);
	if (st.st_mode & 077)
		return psb_fail(err, PSB_E_INVALID, 0,
				"audit key: %.300s has mode %03o, others may use it; chmod 600 it",
				path, (unsigned int)st.st_mode & 0777);
	return 0;
}

static int read_key(int fd, const char *path, struct audit_key *out, struct psb_error *err)
{
	uint8_t bytes[AUDIT_KEY_MAX_BYTES + 1];
	size_t len = 0;
	ssize_t n = 1;

	while (n != 0 && len < sizeof(bytes)) {
		n = read(fd, bytes + len, sizeof(bytes) - len);
		if (n < 0 && errno != EINTR)
			return psb_fail(err, PSB_E_SYSTEM, errno, "audit key: %.300s", path);
		len += n > 0 ? (size_t)n : 0;
	}
	if (len >= AUDIT_KEY_MIN_BYTES && len <= AUDIT_KEY_MAX_BYTES)
		audit_key_set(out, bytes, len);
	explicit_bzero(bytes, sizeof(bytes));
	if (len < AUDIT_KEY_MIN_BYTES)
		return psb_fail(err, PSB_E_INVALID, 0,
				"audit key: %.300s holds %zu bytes, at least %u are needed; take "
				"32 random ones",
				path, len, AUDIT_KEY_MIN_BYTES);
	if (len > AUDIT_KEY_MAX_BYTES)
		return psb_fail(err, PSB_E_INVALID, 0,
				"audit key: %.300s holds more than %u bytes; take 32 random ones",
				path, AUDIT_KEY_MAX_BYTES);
	return 0;
}

int audit_key_read(const char *path, struct audit_key *out, struct psb_error *err)
{
	auto_fd fd = -1;
	int error;

	*out = (struct audit_key){.keyed = false};
	if (!path || !*path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return psb_fail(err, errno == ENOENT ? PSB_E_NOT_FOUND : PSB_E_SYSTEM, errno,
				"audit key: %.300s", path);
	error = check_key_file(fd, path, err);
	return error ? error : read_key(fd, path, out, err);
}
