/* Building in a process of its own, which ends with whoever it builds for. */
#ifndef PSB_IMAGE_BUILDER_H
#define PSB_IMAGE_BUILDER_H

#include "store.h"

/* One work to do in the child. It tells its steps by builder_tell(). */
struct builder {
	const struct store_host *host;
	int (*work)(struct builder *builder, void *argument, struct psb_error *err);
	void *argument;
	int report_fd; /* in the child */
};

/* Does the work in a child and waits for its end. PSB_E_ENGINE with the child's reason; or
 * PSB_E_SYSTEM when the host is gone: all that the work had started is dead. */
int builder_run(struct builder *builder, struct psb_error *err);

/* In the child. */
void builder_tell(const struct builder *builder, const char *text);

#endif
