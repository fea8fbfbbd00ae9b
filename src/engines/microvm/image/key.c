/*
 * Theory of operation: what an image depends on is too large to be read at every start, so its
 * identity is taken instead: path, size, time and inode of the files and directories that change
 * whenever something in them is installed, removed or upgraded. Our own small parts count by their
 * bytes, so that installations of the same build share an image: by the digest that was noted when they
 * were put there (guest/stage.py), unless one is newer. The snapshot depends besides on the
 * modules to preload, on the kernel and on what KVM lets the guest see of the processor.
 * Trust boundary: none; the host's own files. Whoever can change these without a trace owns the
 * host's Python as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../../../../guest/kernel/abi.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/sha256.h"
#include "store.h"

#define MAX_CPUID_ENTRIES 256u
#define DIGEST_BYTES 64
#define FORMAT "pysandbox microvm image 7"

static void add_text(struct sha256 *hash, const char *text)
{
	sha256_update(hash, text, strlen(text) + 1);
}

static void add_file(struct sha256 *hash, const char *path)
{
	struct stat st = {0};
	uint64_t facts[5];

	(void)stat(path, &st);
	facts[0] = (uint64_t)st.st_ino;
	facts[1] = (uint64_t)st.st_size;
	facts[2] = (uint64_t)st.st_mtim.tv_sec;
	facts[3] = (uint64_t)st.st_mtim.tv_nsec;
	facts[4] = (uint64_t)st.st_dev;
	add_text(hash, path);
	sha256_update(hash, facts, sizeof(facts));
}

/* Of a part of ours: its bytes, wherever it lies. A missing one will be an error of the build. */
static void add_part(struct sha256 *hash, const char *folder, const char *name)
{
	char path[2 * MICROVM_PATH_BYTES];
	uint8_t bytes[64u << 10];
	auto_fd fd = -1;
	ssize_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	add_text(hash, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		sha256_update(hash, bytes, (size_t)n);
	add_text(hash, fd < 0 || n < 0 ? "?" : "");
}

__attribute__((format(printf, 2, 3))) static void add_path(struct sha256 *hash, const char *format,
							   ...)
{
	char path[2 * MICROVM_PATH_BYTES];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	add_file(hash, path);
}

static const char *const parts[] = {"psb/psb_start.py",  "psb/psb_boot.py",    "psb/psb_run.py",
				    "psb/psb_errors.py", "psb/psb_imports.py", "psb/psb_values.py",
				    "psb/psb_warm.py",   "psb/_psb.abi3.so"};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static bool is_newer(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec > b->st_mtim.tv_sec ||
	       (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec > b->st_mtim.tv_nsec);
}

/* False: there is none that speaks of what is there now. */
static bool read_digest(const char *libexec, char digest[DIGEST_BYTES])
{
	char path[2 * MICROVM_PATH_BYTES];
	struct stat noted;
	struct stat st;
	auto_fd fd = -1;

	(void)snprintf(path, sizeof(path), "%s/psb/parts.sha256", libexec);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &noted) < 0 || noted.st_size != DIGEST_BYTES + 1)
		return false;
	for (size_t i = 0; i < PARTS; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", libexec, parts[i]);
		if (stat(path, &st) < 0 || is_newer(&st, &noted))
			return false;
	}
	return read(fd, digest, DIGEST_BYTES) == DIGEST_BYTES;
}

static void add_parts(struct sha256 *hash, const char *libexec)
{
	char digest[DIGEST_BYTES];

	if (read_digest(libexec, digest)) {
		sha256_update(hash, digest, sizeof(digest));
		return;
	}
	for (size_t i = 0; i < PARTS; i++)
		add_part(hash, libexec, parts[i]);
}

static void add_inputs(struct sha256 *hash, const struct vmm_config *config)
{
	const char *version = config->python_version;

	add_text(hash, FORMAT);
	add_file(hash, config->python);
	add_path(hash, "%s/lib/python%s", config->python_prefix, version);
	add_path(hash, "%s/lib/python%s/site-packages", config->python_prefix, version);
	add_path(hash, "/usr/lib/python3/dist-packages");
	add_path(hash, "/usr/local/lib/python%s/dist-packages", version);
	add_file(hash, "/etc/ld.so.cache");
	add_file(hash, "/usr/share/zoneinfo");
	if (config->venv[0]) {
		add_path(hash, "%s/pyvenv.cfg", config->venv);
		add_path(hash, "%s/lib/python%s/site-packages", config->venv, version);
	}
	add_parts(hash, config->libexec);
}

static int add_processor(struct sha256 *hash, int kvm_fd, struct psb_error *err)
{
	size_t bytes =
		sizeof(struct kvm_cpuid2) + MAX_CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
	auto_free struct kvm_cpuid2 *cpuid = calloc(1, bytes);

	if (!cpuid)
		return psb_fail(err, PSB_E_MEMORY, 0, "vmm: out of memory");
	cpuid->nent = MAX_CPUID_ENTRIES;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return psb_fail(err, PSB_E_ENGINE, errno, "vmm: KVM_GET_SUPPORTED_CPUID: %s",
				strerror(errno));
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		/* The number of the processor that was asked is in these. */
		if (entry->function == 1)
			entry->ebx &= 0x00ffffff;
		if (entry->function == 0xb || entry->function == 0x1f ||
		    entry->function == 0x8000001e)
			memset(entry, 0, sizeof(*entry));
	}
	sha256_update(hash, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	return 0;
}

int store_keys(const struct vmm_config *config, int kvm_fd, uint8_t image_key[32],
	       uint8_t snapshot_key[32], struct psb_error *err)
{
	struct utsname system = {0};
	struct sha256 hash;

	sha256_init(&hash);
	add_inputs(&hash, config);
	sha256_final(&hash, image_key);
	sha256_init(&hash);
	sha256_update(&hash, image_key, 32);
	add_path(&hash, "%s/pysandbox-guest-kernel", config->libexec);
	add_path(&hash, "%s/pysandbox-vmm", config->libexec);
	add_text(&hash, config->preload);
	(void)uname(&system);
	add_text(&hash, system.release);
	if (add_processor(&hash, kvm_fd, err) < 0)
		return -1;
	sha256_final(&hash, snapshot_key);
	return 0;
}
