/*
 * The generator behind getrandom and /dev/urandom: ChaCha20 (RFC 8439) in counter mode, keyed anew
 * for each execution with entropy of the host. After each 64 bytes given out the counter moves on.
 *
 * Trust boundary: the state lies in memory that the program can read; it tells the program its own
 * future only, as the key ends with the execution.
 */
#include "kernel.h"

static uint32_t rotate(uint32_t value, unsigned bits)
{
	return value << bits | value >> (32 - bits);
}

static void quarter(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

static void next_block(struct kernel_random *random)
{
	uint32_t x[16];

	memcpy(x, random->state, sizeof(x));
	for (int round = 0; round < 10; round++) {
		quarter(x, 0, 4, 8, 12);
		quarter(x, 1, 5, 9, 13);
		quarter(x, 2, 6, 10, 14);
		quarter(x, 3, 7, 11, 15);
		quarter(x, 0, 5, 10, 15);
		quarter(x, 1, 6, 11, 12);
		quarter(x, 2, 7, 8, 13);
		quarter(x, 3, 4, 9, 14);
	}
	for (unsigned i = 0; i < 16; i++)
		x[i] += random->state[i];
	memcpy(random->block, x, sizeof(x));
	random->used = 0;
	if (++random->state[12] == 0)
		random->state[13]++;
}

/* 32 bytes of key, 16 of counter and nonce. */
void random_seed(struct kernel_random *random, const uint8_t entropy[48])
{
	static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

	memcpy(random->state, constants, sizeof(constants));
	memcpy(random->state + 4, entropy, 48);
	random->used = sizeof(random->block);
}

void random_fill(struct kernel_random *random, void *buffer, uint64_t bytes)
{
	uint8_t *at = buffer;

	while (bytes > 0) {
		uint64_t part;

		if (random->used == sizeof(random->block))
			next_block(random);
		part = min_u64(bytes, sizeof(random->block) - random->used);
		memcpy(at, random->block + random->used, part);
		memset(random->block + random->used, 0, part);
		random->used += (uint32_t)part;
		at += part;
		bytes -= part;
	}
}
