/*
 * Failure injection while an image is built: gathering, packing, booting, rehearsing, storing. Every place
 * of the builder's code that asks libc or the kernel for something fails once, at its first call and at its last:
 *  - the build gives an error with a text, or it succeeds; it never hangs;
 *  - what lies in the store is whole (its hashes are right), and nothing unfinished lies there;
 *  - no process is left.
 *
 *   test_inject_image FOLDER [STEP]
 *
 * The ordinary run takes every STEP-th place; PSB_INJECT_STEP=1 in the environment takes all. FOLDER is that
 * of test_inject.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cage_look.h"
#include "inject.h"
#include "pysandbox.h"

enum { HANG_S = 120, END_MS = 10000 };

static const char *folder;
static char base[400];  /* of everything that is written */
static char store[600]; /* where the images lie */
static struct inject *inject;
static long built;
static long refused;

static void remove_store(bool all);

__attribute__((format(printf, 1, 2), noreturn)) static void bad(const char *format, ...)
{
	va_list args;

	inject->armed = false;
	printf("# %s called from %p: ", inject->fired, inject->caller);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	printf("\nnot ok 1\n1..1\n");
	remove_store(true);
	exit(1);
}

/* What is there to be removed stays, to be looked at. */
static void on_hang(int number)
{
	static const char text[] = " failed: the build hangs\nnot ok 1\n1..1\n";

	(void)number;
	(void)!write(STDOUT_FILENO, "# ", 2);
	(void)!write(STDOUT_FILENO, inject->fired, strlen(inject->fired));
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static bool is_snapshot(const char *name)
{
	return strncmp(name, "vm-", 3) == 0;
}

static bool is_whole_name(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && ((is_snapshot(name) && strcmp(end, ".snap") == 0) ||
		       (strncmp(name, "fs-", 3) == 0 && strcmp(end, ".img") == 0));
}

/* Snapshots, or all of it. */
static void remove_store(bool all)
{
	DIR *dir = opendir(store);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (all || is_snapshot(entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		(void)closedir(dir);
	if (all) {
		(void)rmdir(store);
		(void)rmdir(base);
	}
}

/* How many whole files there are. */
static int look_at_store(void)
{
	DIR *dir = opendir(store);
	const struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (is_whole_name(entry->d_name))
			count++;
		else if (strcmp(inject->fired, "unlinkat") != 0)
			bad("%s is left in the store", entry->d_name);
		else
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

static int act(enum psb_image_action action, struct psb_error *err)
{
	struct psb_options options;
	int rc;

	psb_options_init(&options);
	options.libexec = folder;
	(void)alarm(HANG_S);
	rc = psb_image(&options, action, NULL, NULL, err);
	(void)alarm(0);
	if (cage_wait_for_all(END_MS) > 0)
		bad("a process outlives the build");
	return rc;
}

static void check_store(int rc, const struct psb_error *err)
{
	struct psb_error reason = {0};
	int count = look_at_store();

	if (rc < 0 && !err->message[0])
		bad("error %d without a text", rc);
	if (rc == 0 && count != 2)
		bad("built, but %d files are in the store", count);
	if (count > 0 && act(PSB_IMAGE_VERIFY, &reason) < 0)
		bad("what is in the store is not whole: %s", reason.message);
	built += rc == 0;
	refused += rc < 0;
}

/* With the file system's image there, or without. `how` says what fails. */
static int build(bool packed, const struct inject *how, struct psb_error *err)
{
	int rc;

	remove_store(!packed);
	(void)mkdir(base, 0700);
	*inject = *how;
	inject->target = -1;
	inject->armed = true;
	rc = act(PSB_IMAGE_BUILD, err);
	inject->armed = false;
	return rc;
}

/* The sites of an undisturbed build. */
static int list_sites(bool packed, struct inject_site sites[INJECT_MAX_SITES])
{
	struct psb_error err = {0};

	if (build(packed, &(struct inject){.noting = true}, &err) < 0)
		bad("the build fails by itself: %s", err.message);
	memcpy(sites, inject->sites, sizeof(inject->sites));
	return inject->site_count;
}

static bool is_listed(const struct inject_site *sites, int count, const void *caller)
{
	for (int i = 0; i < count; i++)
		if (sites[i].caller == caller)
			return true;
	return false;
}

static void try_call(bool packed, void *at, long nth)
{
	struct psb_error err = {0};
	int rc = build(packed, &(struct inject){.at = at, .nth = nth}, &err);

	check_store(rc, &err);
}

static void try_site(bool packed, const struct inject_site *site)
{
	try_call(packed, site->caller, 0);
	if (site->calls > 1)
		try_call(packed, site->caller, site->calls - 1);
}

/* First what packing alone does, then the rest with the image of the files at hand. */
static void try_all(long step)
{
	static struct inject_site all[INJECT_MAX_SITES];
	static struct inject_site booting[INJECT_MAX_SITES];
	int all_count = list_sites(false, all);
	int booting_count = list_sites(true, booting);
	struct psb_error err = {0};
	long turn = 0;

	printf("# %d places, %d of them without packing\n", all_count, booting_count);
	for (int i = 0; i < all_count; i++)
		if (!is_listed(booting, booting_count, all[i].caller) && turn++ % step == 0)
			try_site(false, &all[i]);
	if (act(PSB_IMAGE_BUILD, &err) < 0)
		bad("no build after all the failures: %s", err.message);
	for (int i = 0; i < booting_count; i++)
		if (turn++ % step == 0)
			try_site(true, &booting[i]);
}

static bool has_engine(struct psb_engine_info *info)
{
	for (size_t i = 0; psb_engine_at(i, info, NULL) == 0; i++)
		if (strcmp(info->name, "microvm") == 0)
			return info->available != 0;
	return false;
}

static void make_base(void)
{
	const char *temporary = getenv("TMPDIR");

	(void)snprintf(base, sizeof(base), "%.300s/psb-inject-image-XXXXXX",
		       temporary ? temporary : "/tmp");
	if (!mkdtemp(base) || setenv("XDG_CACHE_HOME", base, 1) != 0)
		bad("cannot make %s", base);
	(void)snprintf(store, sizeof(store), "%s/pysandbox", base);
}

int main(int argc, char **argv)
{
	struct psb_engine_info info = {.size = sizeof(info)};
	const char *wanted = getenv("PSB_INJECT_STEP");
	long step = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
	char path[600];

	if (wanted)
		step = strtol(wanted, NULL, 10);
	if (argc < 2 || step < 1)
		return 2;
	folder = argv[1];
	if (!has_engine(&info)) {
		printf("1..0 # SKIP %s\n", info.missing);
		return 0;
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)signal(SIGALRM, on_hang);
	(void)snprintf(path, sizeof(path), "%.500s/inject", folder);
	inject = inject_open(path, false);
	make_base();
	try_all(step);
	printf("# %ld builds succeeded, %ld were refused\nok 1 - image\n1..1\n", built, refused);
	(void)unlink(path);
	remove_store(true);
	return 0;
}
