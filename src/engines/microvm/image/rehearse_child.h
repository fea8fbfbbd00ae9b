/* Learns which pages every execution writes, and notes them in the header of a new snapshot. */
#ifndef PSB_IMAGE_REHEARSE_CHILD_H
#define PSB_IMAGE_REHEARSE_CHILD_H

#include <stdbool.h>

#include "pysandbox.h"

int rehearse_in_child(int kvm_fd, int snapshot_fd, int image_fd, bool namespaces,
		      struct psb_error *err);

#endif
