/* Fills a struct psb_error and returns its code, so that `return psb_fail(...)` reads well. */
#ifndef PSB_CORE_ERROR_H
#define PSB_CORE_ERROR_H

#include "pysandbox.h"

int psb_fail(struct psb_error *err, int code, int sys_errno, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
