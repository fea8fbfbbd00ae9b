/* What the processes of virtual machines below this one are confined by, as text to compare. */
#ifndef PSB_TEST_CAGE_LOOK_H
#define PSB_TEST_CAGE_LOOK_H

#include <stddef.h>

/* One line for each worker; "" if there is none. */
void cage_look(char *text, size_t size);
/* Waits until no process below this one is left, reaping; how many there are after `ms`. */
int cage_wait_for_all(int ms);

#endif
