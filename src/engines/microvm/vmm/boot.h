/*
 * Boots a machine up to its first request and leaves it as a snapshot. In two steps, for two
 * processes: one runs the guest and is caged, the other writes the file when that one is dead.
 */
#ifndef PSB_VMM_BOOT_H
#define PSB_VMM_BOOT_H

#include "../protocol.h"
#include "snapshot.h"

#define BOOT_POOL_BYTES (UINT64_C(1) << 30)
#define BOOT_WALL_NS (UINT64_C(120) * 1000000000)
#define BOOT_TEXT_BYTES 4096u

struct boot {
	int kvm_fd;
	int kernel_fd;   /* the guest kernel's ELF file */
	int image_fd;    /* the file-system image */
	int memory_fd;   /* empty: what the guest will have as its memory */
	int snapshot_fd; /* empty, to be written */
	int report_fd;   /* caged: all that is left to it but its machine; else -1 */
	uint64_t image_bytes;
	uint8_t key[32];
	const char *image_name;
	const char *preload;
	const char *const *argv; /* NULL-terminated, as the guest sees them */
	const char *const *envp;
	char output[BOOT_TEXT_BYTES]; /* the end of what the guest printed */
	size_t output_len;
};

/* What a machine that waits for its first request is, apart from its memory (in memory_fd). */
struct boot_result {
	uint64_t tsc_khz;
	struct machine_state state;
};

/* In a process of its own. With a report_fd the process is caged before the guest's first
 * instruction: see jail.h. */
int boot_run(struct boot *boot, struct boot_result *out, struct psb_error *err);
/* By a process that the guest never ran in, once nothing else has the file mapped. */
int boot_store(const struct boot *boot, const struct boot_result *result, struct psb_error *err);

#endif
