/* The few facts that we read from /proc. All tolerate a missing /proc. */
#ifndef PSB_HOST_PROBE_PROCFS_H
#define PSB_HOST_PROBE_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t procfs_start_time(pid_t pid);          /* clock ticks since boot, 0 if unknown */
uint64_t procfs_address_space_bytes(pid_t pid); /* VmSize, 0 if unknown */
uint64_t procfs_peak_rss_bytes(pid_t pid);      /* VmHWM, 0 if unknown */
uint64_t procfs_pid_namespace(pid_t pid);       /* inode of the namespace, 0 if unknown */
/* All processes and threads of that user on this host; 0 when /proc does not tell. */
uint64_t procfs_tasks_of_user(uid_t user);
bool procfs_names_dead_process(const char *name); /* "psb-<pid>-<start>", and it is gone */
pid_t procfs_thread_group(pid_t tid);             /* Tgid, 0 if unknown */
bool procfs_is_ours(void);        /* of another namespace's the numbers would be others' */
pid_t procfs_of_pidfd(int pidfd); /* 0 if unknown, or dead and reaped */

#endif
