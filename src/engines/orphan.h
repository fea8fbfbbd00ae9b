/* Starts a helper program that the host application never notices as a child. */
#ifndef PSB_ENGINES_ORPHAN_H
#define PSB_ENGINES_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pysandbox.h"

#define ORPHAN_CONTROL_FD 3

/*
 * Execs <libexec>/<program> with one end of a socket pair as descriptor 3 and nothing else, sends
 * it `config` as its first message and returns the other end (non-blocking, close-on-exec) in
 * *control_fd. `who` begins the error messages.
 */
int orphan_start(const char *libexec, const char *program, const char *who, const void *config,
		 size_t config_bytes, int *control_fd, struct psb_error *err);

/* In the helper, first of all: standard streams to /dev/null, no other descriptor but the control
 * one, signals as they are by default (SIGPIPE ignored), a session of its own, no real-time priority,
 * `name`, root folder. `processors`: argv[1], those of the host; NULL: ours are. */
void orphan_begin(const char *name, const char *processors);

/*
 * A child that the host forked may hold a copy of the control channel and outlive it: then there is no
 * end of file, but the process that made the channel is gone. Gives a descriptor that is readable
 * from then on, or -1 when the kernel has none; *gone: it is gone already. Nobody whom we confine is to
 * have that descriptor.
 */
int orphan_watch_host(bool *gone);

/* Raises the soft limit of open files as far as the hard one lets us: one that was made for the host
 * application is not ours. */
void orphan_raise_open_files(uint64_t wanted);

#endif
