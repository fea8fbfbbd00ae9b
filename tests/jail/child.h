/* Test bodies that run in a child of their own, since a filter or a cage is for ever. */
#ifndef PSB_TEST_CHILD_H
#define PSB_TEST_CHILD_H

#include <stdbool.h>

#define NOBODY 65534

/* In the child: ends it with the reason, which the parent shows. */
__attribute__((noreturn, format(printf, 2, 3))) void child_end(int code, const char *format, ...);

#define CHILD_SKIP 77
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			child_end(1, "%s:%d: %s (errno %d)", __FILE__, __LINE__, #condition,       \
				  errno);                                                          \
	} while (0)
#define SKIP(...) child_end(CHILD_SKIP, __VA_ARGS__)

/* Runs body in a child, as nobody or as the caller, and asserts that it passed. Skips the test
 * when the body did. Returns the wait status when the body is expected to die (`dies`). */
int child_run(void (*body)(void), bool as_nobody, bool dies);

/* In the child: full capabilities in a new user namespace (its own id is 0 there), with mount, ipc
 * and network namespaces of its own. Skips where the host denies it. */
void child_namespaces(void);

#endif
