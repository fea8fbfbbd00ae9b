/*
 * The memory functions that the compiler calls. In the guest only: host tests have the C library's.
 * Trust boundary: none.
 */
#include "base.h"

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	char *end = (char *)to + len - 1;
	const char *from_end = (const char *)from + len - 1;

	if (address_of(to) - address_of(from) >= len)
		return memcpy(to, from, len);
	__asm__ volatile("std; rep movsb; cld" : "+D"(end), "+S"(from_end), "+c"(len) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *left = a;
	const unsigned char *right = b;

	for (size_t i = 0; i < len; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

size_t strlen(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}
