/* On which processors the processes of a cold start go on: side by side what can be done at the same time,
 * on one what is done in turns. Changes speed only. */
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
/* `all`: where both may run, when the caller itself is held. */
void aside_send_of(const cpu_set_t *all, pid_t child);
void aside_send_thread(pthread_t thread);

/*
 * To wake an idle processor takes longer than a fork. After place_stay() what the caller makes begins where
 * the caller is, and has to be let go itself: by this.
 */
void aside_roam(const cpu_set_t *before);

/* From now on not on this processor: what was made here need not wait for us, nor does it when it wakes us
 * (the kernel would do that beside it). aside_go(): only at first. */
void aside_leave(const cpu_set_t *before);
void aside_go(const cpu_set_t *before);

#endif
