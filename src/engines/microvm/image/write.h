/* Writes a tree as an image (guest/kernel/image_format.h). */
#ifndef PSB_IMAGE_WRITE_H
#define PSB_IMAGE_WRITE_H

#include "tree.h"

/* Called now and then with the bytes written so far and in all. */
typedef void (*image_progress_fn)(void *context, uint64_t done, uint64_t total);

/* `fd` is empty. *out_bytes: its size afterwards. */
int image_write(const struct tree *tree, int fd, image_progress_fn progress, void *context,
		uint64_t *out_bytes, struct psb_error *err);

#endif
