/*
 * Build time: the shape of the BPF programs that gen_filters.c makes.
 */
#ifndef PSB_JAIL_GEN_TREE_H
#define PSB_JAIL_GEN_TREE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a program says of a native call by its number. */
struct tree_verdict {
	bool by_arguments;
	uint32_t action; /* else */
};

/* The verdict of `code` on every number below `numbers`. False: it is no program of the subset that
 * libseccomp writes. */
bool tree_judge(const struct sock_filter *code, size_t count, struct tree_verdict *verdicts,
		uint32_t numbers);

/* A program for these verdicts; numbers behind the last one are treated as it is. It goes on with
 * what is appended to it for calls judged by arguments, foreign architectures and x32. Its length, or
 * 0 when it does not fit. */
size_t tree_write(const struct tree_verdict *verdicts, uint32_t numbers, struct sock_filter *code,
		  size_t room);

#endif
