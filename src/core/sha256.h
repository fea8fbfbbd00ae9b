/* SHA-256 (FIPS 180-4). */
#ifndef PSB_CORE_SHA256_H
#define PSB_CORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum sha256_means { SHA256_NOT_ASKED, SHA256_NO_INSTRUCTIONS, SHA256_INSTRUCTIONS };

struct sha256 {
	uint32_t state[8];
	enum sha256_means instructions; /* whether the processor has some for this */
	uint64_t total_bytes;
	uint8_t block[64];
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t len);
void sha256_final(struct sha256 *hash, uint8_t digest[32]);
void sha256_hex(const void *data, size_t len, char out[65]);

#endif
