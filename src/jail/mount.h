/* Inside of the jail library: one read-only bind, by the newest means that the kernel has. */
#ifndef PSB_JAIL_MOUNT_H
#define PSB_JAIL_MOUNT_H

#include <stdbool.h>

/* Binds what source_fd (O_PATH) names over `name` in the directory parent_fd, with all that is
 * mounted below it: read-only, nosuid, and nodev, or for a device node noexec. The caller has made
 * sure that `name` is no symbolic link. 0 or -1 and errno. */
int mount_bind(int source_fd, int parent_fd, const char *name, bool device);

#endif
