/* What goes into an image for a given interpreter. */
#ifndef PSB_IMAGE_CONTENTS_H
#define PSB_IMAGE_CONTENTS_H

#include "../protocol.h"
#include "tree.h"

int contents_gather(struct tree *tree, const struct vmm_config *config, struct psb_error *err);

#endif
