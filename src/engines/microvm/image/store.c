/*
 * Theory of operation: files are written under a temporary name, synced, and renamed when they are
 * whole; a lock on the directory makes concurrent builders wait for the first one's result. The
 * machine boots in a process of its own, so that whatever the guest does there, this one goes on.
 * Trust boundary: the directory is ours alone (owner and mode are checked); what boots in the
 * machine is foreign code, confined by it.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "boot_child.h"
#include "builder.h"
#include "contents.h"
#include "core/cleanup.h"
#include "core/default_imports.h"
#include "core/error.h"
#include "core/sha256.h"
#include "rehearse_child.h"
#include "write.h"

#define NAME_BYTES 64u
#define USE_GRAIN_S 3600

struct store {
	const struct vmm_config *config;
	int kvm_fd;
	int dir_fd;
	struct builder *builder;
	uint8_t image_key[32];
	uint8_t snapshot_key[32];
	char image_name[NAME_BYTES];
	char snapshot_name[NAME_BYTES];
};

/* The folder of caches need not be there yet: it is made as its standard (XDG base directories) has
 * it, for its owner alone. */
static int make_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || !slash || slash == path || (size_t)(slash - path) >= sizeof(parent))
		return -1;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	if (mkdir(parent, 0700) < 0)
		return -1;
	return mkdir(path, 0700);
}

int store_directory(const char *path, struct psb_error *err)
{
	auto_fd fd = -1;
	struct stat st;

	if (make_directory(path) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno,
				"image: cannot make the store %.300s: %s; set HOME or "
				"XDG_CACHE_HOME to a directory of yours",
				path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: the store %.300s: %s", path,
				strerror(errno));
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return psb_fail(err, PSB_E_SYSTEM, 0,
				"image: the store %.300s must belong to user %u with mode 0700; "
				"correct or remove it",
				path, (unsigned int)geteuid());
	return take_fd(fd);
}

static void name_file(char name[NAME_BYTES], const char *prefix, const uint8_t key[32],
		      const char *suffix)
{
	int used = snprintf(name, NAME_BYTES, "%s", prefix);

	for (size_t i = 0; i < 16; i++)
		used += snprintf(name + used, NAME_BYTES - (size_t)used, "%02x", key[i]);
	(void)snprintf(name + used, NAME_BYTES - (size_t)used, "%s", suffix);
}

static int open_existing(const struct store *store, const char *name)
{
	return openat(store->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_temporary(const struct store *store, const char *name, char temporary[NAME_BYTES],
			  struct psb_error *err)
{
	int fd;

	(void)snprintf(temporary, NAME_BYTES, "%.50s" STORE_UNFINISHED, name);
	fd = openat(store->dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: %s: %s", temporary,
				strerror(errno));
	return fd;
}

static int publish(const struct store *store, const char *temporary, const char *name,
		   struct psb_error *err)
{
	if (renameat(store->dir_fd, temporary, store->dir_fd, name) < 0 || fsync(store->dir_fd) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: rename %s: %s", temporary,
				strerror(errno));
	return 0;
}

static void tell(const struct store *store, const char *text)
{
	builder_tell(store->builder, text);
}

static void on_progress(void *context, uint64_t done, uint64_t total)
{
	const struct store *store = context;
	char text[96];

	(void)snprintf(text, sizeof(text), "packing %llu of %llu MiB",
		       (unsigned long long)(done >> 20), (unsigned long long)(total >> 20));
	tell(store, text);
}

static int pack(struct store *store, int fd, struct psb_error *err)
{
	struct tree tree;
	uint64_t bytes;
	int rc = tree_open(&tree, err);

	if (rc == 0)
		rc = contents_gather(&tree, store->config, err);
	if (rc == 0)
		rc = image_write(&tree, fd, on_progress, store, &bytes, err);
	tree_close(&tree);
	return rc;
}

static int build_image(struct store *store, struct psb_error *err)
{
	char temporary[NAME_BYTES];
	auto_fd fd = open_temporary(store, store->image_name, temporary, err);

	if (fd < 0)
		return -1;
	tell(store, "gathering files");
	if (pack(store, fd, err) < 0) {
		(void)unlinkat(store->dir_fd, temporary, 0);
		return -1;
	}
	return publish(store, temporary, store->image_name, err);
}

static int boot_snapshot(const struct store *store, int image_fd, int snapshot_fd,
			 struct psb_error *err)
{
	const struct vmm_config *config = store->config;
	char kernel[MICROVM_PATH_BYTES + 32];
	char python[MICROVM_PATH_BYTES + 16];
	const char *const argv[] = {python,
				    "-I",
				    "-S",
				    "-B",
				    "/psb/psb_start.py",
				    config->preload,
				    "0",
				    "machine",
				    DEFAULT_IMPORTS,
				    NULL};
	static const char *const envp[] = {"LANG=C.UTF-8",           "MALLOC_ARENA_MAX=1",
					   "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1",
					   "MKL_NUM_THREADS=1",      NULL};
	struct boot boot = {.kvm_fd = store->kvm_fd,
			    .image_fd = image_fd,
			    .snapshot_fd = snapshot_fd,
			    .image_name = store->image_name,
			    .preload = config->preload,
			    .argv = argv,
			    .envp = envp};
	auto_fd kernel_fd = -1;
	auto_fd memory_fd = memfd_create("guest", MFD_CLOEXEC);
	struct stat st;

	if (memory_fd < 0)
		return psb_fail(err, PSB_E_MEMORY, errno, "image: no memory to boot in: %s",
				strerror(errno));
	(void)snprintf(kernel, sizeof(kernel), "%s/pysandbox-guest-kernel", config->libexec);
	(void)snprintf(python, sizeof(python), "%s%s",
		       config->venv[0] ? config->venv : config->python,
		       config->venv[0] ? "/bin/python3" : "");
	memcpy(boot.key, store->snapshot_key, sizeof(boot.key));
	boot.memory_fd = memory_fd;
	boot.kernel_fd = kernel_fd = open(kernel, O_RDONLY | O_CLOEXEC);
	if (kernel_fd < 0 || fstat(image_fd, &st) < 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno, "image: %.400s: %s", kernel,
				strerror(errno));
	boot.image_bytes = (uint64_t)st.st_size;
	if (boot_in_child(&boot, config->namespaces != 0, err) < 0)
		return -1;
	return rehearse_in_child(store->kvm_fd, snapshot_fd, image_fd, config->namespaces != 0,
				 err);
}

static int build_snapshot(struct store *store, struct psb_error *err)
{
	char temporary[NAME_BYTES];
	auto_fd image_fd = open_existing(store, store->image_name);
	auto_fd fd = open_temporary(store, store->snapshot_name, temporary, err);

	if (fd < 0)
		return -1;
	if (image_fd < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: %s: %s", store->image_name,
				strerror(errno));
	tell(store, "booting the machine");
	if (boot_snapshot(store, image_fd, fd, err) < 0) {
		(void)unlinkat(store->dir_fd, temporary, 0);
		return -1;
	}
	return publish(store, temporary, store->snapshot_name, err);
}

/* A descriptor of its own: the lock ends with the last process that has it. */
static int lock(const struct store *store, int operation)
{
	auto_fd fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && flock(fd, operation) == 0 ? take_fd(fd) : -1;
}

/* In the builder. Under the lock: whoever waited for it may find the work done. */
static int build(struct builder *builder, void *argument, struct psb_error *err)
{
	struct store *store = argument;
	bool anew = store->config->action == VMM_REBUILD;
	auto_fd lock_fd = lock(store, LOCK_EX);
	auto_fd image_fd = -1;
	auto_fd snapshot_fd = -1;
	struct psb_error ignored; /* what could not be removed is no failure of this */

	store->builder = builder;
	if (lock_fd < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: lock the store: %s",
				strerror(errno));
	store_remove_unfinished(store->dir_fd);
	image_fd = open_existing(store, store->image_name);
	snapshot_fd = open_existing(store, store->snapshot_name);
	if (image_fd >= 0 && snapshot_fd >= 0 && !anew)
		return 0;
	if ((image_fd < 0 || anew) && build_image(store, err) < 0)
		return -1;
	if (build_snapshot(store, err) < 0)
		return -1;
	(void)store_prune(store->dir_fd, false, NULL, NULL, &ignored);
	return 0;
}

static int run_builder(struct store *store, const struct store_host *host, struct psb_error *err)
{
	struct builder builder = {.host = host, .work = build, .argument = store};
	auto_fd lock_fd = -1;
	int rc = builder_run(&builder, err);

	/* What one that was killed had written so far is of no use. */
	if (rc < 0)
		lock_fd = lock(store, LOCK_EX | LOCK_NB);
	if (lock_fd >= 0)
		store_remove_unfinished(store->dir_fd);
	return rc;
}

static bool open_files(const struct store *store, struct store_files *out)
{
	out->image_fd = open_existing(store, store->image_name);
	out->snapshot_fd = open_existing(store, store->snapshot_name);
	if (out->image_fd >= 0 && out->snapshot_fd >= 0)
		return true;
	close_fd(&out->image_fd);
	close_fd(&out->snapshot_fd);
	return false;
}

/* A file's time of change tells when it was last used; for pruning, so to the hour. */
static void note_use(int fd)
{
	struct timespec now;
	struct stat st;

	if (clock_gettime(CLOCK_REALTIME, &now) == 0 && fstat(fd, &st) == 0 &&
	    (st.st_mtim.tv_sec > now.tv_sec || now.tv_sec - st.st_mtim.tv_sec > USE_GRAIN_S))
		(void)futimens(fd, NULL);
}

int store_open(const struct vmm_config *config, int kvm_fd, const struct store_host *host,
	       struct store_files *out, struct psb_error *err)
{
	struct store store = {.config = config, .kvm_fd = kvm_fd, .dir_fd = -1};
	int rc = store_keys(config, kvm_fd, store.image_key, store.snapshot_key, err);

	if (rc == 0)
		store.dir_fd = store_directory(config->cache, err);
	rc = rc < 0 ? rc : store.dir_fd < 0 ? store.dir_fd : 0;
	name_file(store.image_name, "fs-", store.image_key, ".img");
	name_file(store.snapshot_name, "vm-", store.snapshot_key, ".snap");
	if (rc == 0 && (config->action == VMM_REBUILD || !open_files(&store, out))) {
		rc = run_builder(&store, host, err);
		if (rc == 0 && !open_files(&store, out))
			rc = psb_fail(err, PSB_E_SYSTEM, errno,
				      "image: what was just built is gone: %s", strerror(errno));
	}
	if (rc == 0) {
		note_use(out->image_fd);
		note_use(out->snapshot_fd);
	}
	close_fd(&store.dir_fd);
	return rc;
}
