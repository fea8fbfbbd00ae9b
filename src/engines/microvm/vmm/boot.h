/* Boots a machine up to its first request and leaves it as a snapshot. */
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
	int snapshot_fd; /* empty, to be written */
	uint64_t image_bytes;
	uint8_t key[32];
	const char *image_name;
	const char *preload;
	const char *const *argv; /* NULL-terminated, as the guest sees them */
	const char *const *envp;
	char output[BOOT_TEXT_BYTES]; /* the end of what the guest printed */
	size_t output_len;
};

/* In a process of its own: the caller's memory and descriptors are given up on the way. */
int boot_to_snapshot(struct boot *boot, struct psb_error *err);

#endif
