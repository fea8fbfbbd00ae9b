/* SHA-256 with the processor's instructions, where it has them. */
#ifndef PSB_CORE_SHA256_NI_H
#define PSB_CORE_SHA256_NI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool sha256_ni_available(void);
void sha256_ni_blocks(uint32_t state[8], const uint8_t *data, size_t blocks,
		      const uint32_t constants[64]);

#endif
