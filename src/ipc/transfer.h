/* Whole buffers through a pipe or a socket. */
#ifndef PSB_IPC_TRANSFER_H
#define PSB_IPC_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

/* Blocking descriptors. False: an error, or the end came before all of it (errno is the error's). */
bool transfer_read(int fd, void *data, size_t bytes);
bool transfer_write(int fd, const void *data, size_t bytes);

#endif
