/* Moving a program's own read-only part into huge pages changes nothing that it can see. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* needs the four above */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "huge_text.h"

#define HUGE_BYTES (2u << 20)
#define MANY (8u << 20)

/* Large enough to hold whole huge pages wherever the loader puts it. */
static const uint8_t constants[MANY] = {[0] = 1, [MANY / 2] = 2, [MANY - 1] = 3};

static uint64_t hash(const volatile uint8_t *bytes, size_t count)
{
	uint64_t sum = 14695981039346656037u;

	for (size_t i = 0; i < count; i++)
		sum = (sum ^ bytes[i]) * 1099511628211u;
	return sum;
}

/* KiB in huge pages of the anonymous, executable mappings. */
static unsigned long huge_code_kib(void)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long total = 0;
	bool ours = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, " r-xp ") || strstr(line, " rw-p ") || strstr(line, " r--p "))
			ours = strstr(line, " r-xp 00000000 00:00 0") != NULL;
		if (ours && strncmp(line, "AnonHugePages:", 14) == 0)
			total += strtoul(line + 14, NULL, 10);
	}
	(void)fclose(maps);
	return total;
}

static void test_contents_stay_and_pages_are_huge(void **state)
{
	uint64_t before = hash(constants, MANY);
	bool adopted = huge_text_adopt(constants);

	(void)state;
	assert_true(hash(constants, MANY) == before);
	assert_int_equal(constants[MANY / 2], 2);
	if (!adopted) { /* a kernel without huge pages for us */
		assert_int_equal(huge_code_kib(), 0);
		skip();
	}
	assert_true(huge_code_kib() >= MANY / 1024 - 2 * HUGE_BYTES / 1024);
}

static void test_data_and_strangers_are_left_alone(void **state)
{
	static uint8_t data[2 * HUGE_BYTES] = {1};
	int local = 0;

	(void)state;
	assert_false(huge_text_adopt(data));
	assert_false(huge_text_adopt(&local));
	assert_false(huge_text_adopt(NULL));
	data[HUGE_BYTES] = 2; /* still writable */
	assert_int_equal(data[HUGE_BYTES], 2);
}

static void test_a_small_object_is_left_alone(void **state)
{
	(void)state;
	assert_false(huge_text_adopt((const void *)(uintptr_t)cmocka_set_message_output));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_and_strangers_are_left_alone),
		cmocka_unit_test(test_a_small_object_is_left_alone),
		cmocka_unit_test(test_contents_stay_and_pages_are_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
