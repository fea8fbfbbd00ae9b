/* Lets the n-th of the wrapped calls fail. The counter is shared with forked children. */
#ifndef PSB_INJECT_H
#define PSB_INJECT_H

#include <stdbool.h>

/* From now on, the call number `n` (from 0) fails once; calls are only counted while armed. */
void inject_begin(long n);
void inject_arm(bool armed);
long inject_count(void);        /* calls so far */
const char *inject_fired(void); /* the function that failed, or NULL */
long inject_alive(void);        /* allocations minus frees, of the wrapped callers */

#endif
