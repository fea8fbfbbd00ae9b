/*
 * SHA-256 by the standard's text, for the digests of policies, of the audit log, and of images
 * (where the processor's instructions do the work, sha256_ni.c). It is here
 * because a library that lives in somebody else's process should not bring a second OpenSSL. No
 * branch and no address depends on the data, so a key (src/audit/key.c) does not show in timing.
 */
#include "core/sha256.h"

#include <string.h>

#include "core/sha256_ni.h"

#define MANY_BYTES 4096u /* from here on asking the processor, once for each hash, is worth it */

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void expand(const uint8_t block[64], uint32_t w[64])
{
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | (uint32_t)block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
		uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
}

/* One round. The eight words are renamed from round to round, not moved; `f` is where the word is that the
 * standard calls a. */
#define WORD(i, first) v[((i) + (first)) & 7]
#define ROUND(i)                                                                                   \
	do {                                                                                       \
		const int f = (8 - (i)) & 7;                                                       \
		uint32_t e = WORD(4, f);                                                           \
		uint32_t a = WORD(0, f);                                                           \
		uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);                        \
		uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);                        \
		uint32_t choice = WORD(6, f) ^ (e & (WORD(5, f) ^ WORD(6, f)));                    \
		uint32_t majority = (a & WORD(1, f)) | (WORD(2, f) & (a | WORD(1, f)));            \
		uint32_t t1 = WORD(7, f) + s1 + choice + round_constants[at + (i)] + w[at + (i)];  \
                                                                                                   \
		WORD(3, f) += t1;                                                                  \
		WORD(7, f) = t1 + s0 + majority;                                                   \
	} while (0)

static void compress(uint32_t state[8], const uint8_t block[64])
{
	uint32_t w[64];
	uint32_t v[8];

	expand(block, w);
	memcpy(v, state, sizeof(v));
	for (int at = 0; at < 64; at += 8) {
		ROUND(0);
		ROUND(1);
		ROUND(2);
		ROUND(3);
		ROUND(4);
		ROUND(5);
		ROUND(6);
		ROUND(7);
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256_init(struct sha256 *hash)
{
	static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memset(hash, 0, sizeof(*hash));
	memcpy(hash->state, initial, sizeof(initial));
}

static bool has_instructions(struct sha256 *hash)
{
	if (hash->instructions == SHA256_NOT_ASKED)
		hash->instructions =
			sha256_ni_available() ? SHA256_INSTRUCTIONS : SHA256_NO_INSTRUCTIONS;
	return hash->instructions == SHA256_INSTRUCTIONS;
}

static void compress_all(struct sha256 *hash, const uint8_t *bytes, size_t blocks)
{
	if (64 * blocks >= MANY_BYTES && has_instructions(hash)) {
		sha256_ni_blocks(hash->state, bytes, blocks, round_constants);
		return;
	}
	for (size_t i = 0; i < blocks; i++)
		compress(hash->state, bytes + 64 * i);
}

void sha256_update(struct sha256 *hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	while (len > 0) {
		size_t used = (size_t)(hash->total_bytes % 64);
		size_t n = 64 - used < len ? 64 - used : len;

		if (n == 64) {
			n = len - len % 64;
			compress_all(hash, bytes, n / 64);
		} else {
			memcpy(hash->block + used, bytes, n);
			if (used + n == 64)
				compress(hash->state, hash->block);
		}
		hash->total_bytes += n;
		bytes += n;
		len -= n;
	}
}

void sha256_final(struct sha256 *hash, uint8_t digest[32])
{
	static const uint8_t padding[64] = {0x80};
	uint64_t bits = hash->total_bytes * 8;
	uint8_t tail[8];
	size_t used = (size_t)(hash->total_bytes % 64);

	sha256_update(hash, padding, (used < 56 ? 56 : 120) - used);
	for (int i = 0; i < 8; i++)
		tail[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_update(hash, tail, sizeof(tail));
	for (int i = 0; i < 32; i++)
		digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_hex(const void *data, size_t len, char out[65])
{
	static const char digits[] = "0123456789abcdef";
	struct sha256 hash;
	uint8_t digest[32];

	sha256_init(&hash);
	sha256_update(&hash, data, len);
	sha256_final(&hash, digest);
	for (int i = 0; i < 32; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[64] = '\0';
}
