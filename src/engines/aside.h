/* For work that a helper program does at the same time as other work of its own. */
#ifndef PSB_ENGINES_ASIDE_H
#define PSB_ENGINES_ASIDE_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

/* All but the caller's processor. False: there is no other one. */
bool aside_others(const cpu_set_t *all, cpu_set_t *others);

/*
 * Has a process or thread that waits behind the caller go on on another processor: the kernel likes to put
 * what was just made behind its maker, although another one is idle, and there it waits until the maker does.
 * It may go on anywhere. Without a choice, or the right to choose, nothing is changed.
 */
void aside_send(pid_t child);
void aside_send_thread(pthread_t thread);

#endif
