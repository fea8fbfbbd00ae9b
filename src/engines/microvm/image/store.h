/*
 * The store of images: one private directory. For each set of inputs two files, named by its key:
 * fs-KEY.img (the file-system image) and vm-KEY.snap (the snapshot made from it).
 */
#ifndef PSB_IMAGE_STORE_H
#define PSB_IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "../protocol.h"
#include "pysandbox.h"

struct store_files {
	int image_fd;
	int snapshot_fd;
};

typedef void (*store_progress_fn)(void *context, const char *text);

/* Whom the files are for. */
struct store_host {
	int fd;                     /* the socket of the library */
	int pidfd;                  /* readable once its process is gone, or -1 */
	store_progress_fn progress; /* or NULL */
	void *context;
};

/* Opens the files for this configuration, building what is missing. kvm_fd is used to boot;
 * building ends when the host does. */
int store_open(const struct vmm_config *config, int kvm_fd, const struct store_host *host,
	       struct store_files *out, struct psb_error *err);

/* Opens the store's directory, making it if it is missing; ours alone. */
int store_directory(const char *path, struct psb_error *err);

/* prune.c, under the store's lock. Removes what has not been used for a month and all but the most
 * recently used few; with `newest_only` also all but the newest for each interpreter and list of
 * modules. `tell` (or NULL) gets one line for each file. PSB_E_SYSTEM: nothing was removed, since not all
 * of it could be looked at. */
int store_prune(int dir_fd, bool newest_only, store_progress_fn tell, void *context,
		struct psb_error *err);
void store_remove_unfinished(int dir_fd);
#define STORE_UNFINISHED ".new" /* ends the names of files that are being written */
/* The same with newest_only, for `image prune`. PSB_E_BUSY while an image is being built. */
int store_prune_all(const struct vmm_config *config, store_progress_fn tell, void *context,
		    struct psb_error *err);

/* manage.c: one line for each file system or snapshot; with `verify` all bytes are read and hashed, and a damaged
 * one is an error. */
int store_list(const struct vmm_config *config, bool verify, store_progress_fn tell, void *context,
	       struct psb_error *err);

/* key.c: hashes all that the files depend on: interpreter, packages, libraries, our own parts,
 * the preload list, kernel and processor. */
int store_keys(const struct vmm_config *config, int kvm_fd, uint8_t image_key[32],
	       uint8_t snapshot_key[32], struct psb_error *err);

#endif
