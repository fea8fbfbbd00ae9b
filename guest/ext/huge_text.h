/* The interpreter's code and constants in huge pages. */
#ifndef PSB_HUGE_TEXT_H
#define PSB_HUGE_TEXT_H

#include <stdbool.h>

/* For the object that `inside` points into: puts the read-only part that fills whole huge pages into
 * anonymous ones, with the same contents at the same addresses, readable and executable. Single
 * thread only. False when nothing was changed: too small, or the kernel gives no huge pages. */
bool huge_text_adopt(const void *inside);

#endif
