/* A process that waits to be killed. Included after cmocka.h. */
#ifndef PSB_TEST_CHILD_H
#define PSB_TEST_CHILD_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

static inline pid_t child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* should a test fail */
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	return pid;
}

#endif
