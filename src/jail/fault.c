/*
 * How a step of the jail says why it failed. A fault travels from the half-caged process to the
 * keeper as plain bytes, so it holds no pointer. Nothing here allocates; the callers are
 * single-threaded children, and vsnprintf of strings and integers takes no lock and no memory.
 * Trust boundary: the text names our own steps and the policy's paths, never a guest's bytes.
 */
#include "jail/jail.h"

#include <stdarg.h>
#include <stdio.h>

int jail_fail(struct jail_fault *fault, int sys_errno, const char *format, ...)
{
	va_list args;

	if (!fault)
		return -1;
	va_start(args, format);
	(void)vsnprintf(fault->step, sizeof(fault->step), format, args);
	va_end(args);
	fault->sys_errno = sys_errno;
	return -1;
}
