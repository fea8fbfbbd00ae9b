/*
 * Runs a fuzz target without a fuzzer: on every file of the directories given, on every prefix of
 * each, and on a fixed number of mutations (changed bytes from a fixed generator). Finds nothing
 * new by itself; it keeps what was found once from coming back, in every ordinary test run.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_BYTES (64u << 10)
#define MUTATIONS 2000

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* The target gets an allocation of the exact size, so that a read past it is seen. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size > 0 ? size : 1);

	if (!exact)
		abort();
	memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void mutate(const uint8_t *data, size_t size)
{
	static uint8_t changed[MAX_BYTES];

	for (int i = 0; size > 0 && i < MUTATIONS; i++) {
		uint64_t changes = next_random() % 4 + 1;

		memcpy(changed, data, size);
		while (changes-- > 0) {
			size_t at = (size_t)(next_random() % size);

			changed[at] = next_random() % 2 ? (uint8_t)next_random()
							: changed[next_random() % size];
		}
		run(changed, size);
	}
}

static int replay_file(const char *dir, const char *name)
{
	static uint8_t data[MAX_BYTES];
	char path[4096];
	size_t size;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "rb");
	if (!file)
		return -1;
	size = fread(data, 1, sizeof(data), file);
	(void)fclose(file);
	for (size_t n = 0; n <= size && n <= 4096; n++)
		run(data, n);
	run(data, size);
	mutate(data, size);
	return 0;
}

static int replay_dir(const char *path, int *count)
{
	const struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay_file(path, entry->d_name) != 0)
			break;
		++*count;
	}
	(void)closedir(dir);
	return entry ? -1 : 0;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (replay_dir(argv[i], &count) != 0) {
			(void)fprintf(stderr, "replay: cannot read %s\n", argv[i]);
			return 1;
		}
	}
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
