/* A classic-BPF interpreter for the subset that seccomp takes: the filters are judged without a
 * kernel, for arguments that no test could try for real. */
#ifndef PSB_TEST_BPF_H
#define PSB_TEST_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#define BPF_INVALID 0xdeadbeefu /* not an action: the program is broken */

/* Sets reached[i] for each instruction executed, when reached is given. */
uint32_t bpf_run(const struct sock_filter *code, size_t count, const struct seccomp_data *data,
		 unsigned char *reached);

/* The kernel's choice among two filters: the most restrictive action. */
uint32_t bpf_stricter(uint32_t a, uint32_t b);

#endif
