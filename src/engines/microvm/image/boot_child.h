/* Boots a machine in a caged process of its own and leaves the snapshot in boot->snapshot_fd. */
#ifndef PSB_IMAGE_BOOT_CHILD_H
#define PSB_IMAGE_BOOT_CHILD_H

#include <stdbool.h>

#include "../vmm/boot.h"

int boot_in_child(struct boot *boot, bool namespaces, struct psb_error *err);

#endif
