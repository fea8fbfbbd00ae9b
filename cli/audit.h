/* The words of `audit verify`. */
#ifndef PSB_CLI_AUDIT_H
#define PSB_CLI_AUDIT_H

#include "cli.h"

struct audit_args {
	struct psb_audit_check check;
	struct text_list files;
	bool json;
	uint64_t printed; /* faults so far */
};

/* audit_print.c. print_fault() has the form of a psb_audit_fault_fn; context is the args. */
void print_fault(void *context, const char *file, uint64_t line, const char *message);
void print_report(const struct audit_args *args, const struct psb_audit_report *report);

#endif
