/*
 * SHA-256's compression with the processor's own instructions, for images of hundreds of megabytes.
 * Theory of operation: Intel's SHA extensions hold the state as ABEF and CDGH; four rounds take a
 * vector of message words plus constants, the schedule makes the next vector from the last four.
 * Trust boundary: as sha256.c; the same test vectors run through both.
 */
#include "core/sha256_ni.h"

#include <cpuid.h>
#include <immintrin.h>

#define BLOCK_BYTES 64u
#define CPUID_EXTENDED 7u
#define BIT_SHA (1u << 29)

bool sha256_ni_available(void)
{
	unsigned int eax;
	unsigned int ebx;
	unsigned int ecx;
	unsigned int edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_SSE4_1) || !(ecx & bit_SSSE3))
		return false;
	return __get_cpuid_count(CPUID_EXTENDED, 0, &eax, &ebx, &ecx, &edx) && (ebx & BIT_SHA);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void one_block(__m128i *abef, __m128i *cdgh,
								  const uint8_t *data,
								  const uint32_t constants[64])
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	const __m128i abef_before = *abef;
	const __m128i cdgh_before = *cdgh;
	__m128i words[4];

	for (int i = 0; i < 4; i++)
		words[i] = _mm_shuffle_epi8(
			_mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)), swap);
	for (int i = 0; i < 16; i++) {
		const __m128i *k = (const __m128i *)(const void *)&constants[4 * i];
		__m128i sum = _mm_add_epi32(words[i % 4], _mm_loadu_si128(k));

		*cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
		*abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
		if (i < 12) {
			const __m128i last = words[(i + 3) % 4];
			const __m128i shifted = _mm_alignr_epi8(last, words[(i + 2) % 4], 4);
			__m128i next = _mm_sha256msg1_epu32(words[i % 4], words[(i + 1) % 4]);

			next = _mm_add_epi32(next, shifted);
			words[i % 4] = _mm_sha256msg2_epu32(next, last);
		}
	}
	*abef = _mm_add_epi32(*abef, abef_before);
	*cdgh = _mm_add_epi32(*cdgh, cdgh_before);
}

__attribute__((target("sha,sse4.1,ssse3"))) void sha256_ni_blocks(uint32_t state[8],
								  const uint8_t *data,
								  size_t blocks,
								  const uint32_t constants[64])
{
	__m128i *low_at = (__m128i *)(void *)&state[0];
	__m128i *high_at = (__m128i *)(void *)&state[4];
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(low_at), 0xb1);
	__m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(high_at), 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, hgfe, 8);
	__m128i cdgh = _mm_blend_epi16(hgfe, cdab, 0xf0);

	for (; blocks > 0; blocks--, data += BLOCK_BYTES)
		one_block(&abef, &cdgh, data, constants);
	cdab = _mm_shuffle_epi32(abef, 0x1b);
	hgfe = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128(low_at, _mm_blend_epi16(cdab, hgfe, 0xf0));
	_mm_storeu_si128(high_at, _mm_alignr_epi8(hgfe, cdab, 8));
}
