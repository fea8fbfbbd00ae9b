/*
 * Build time: from one comparison for each system call to one for each run of neighbouring numbers
 * with the same verdict. The kernel translates a program when it is installed, and tries it on every
 * number to learn what needs no look at all: that takes as long as all the rest of a cage's filter.
 *
 * Theory of operation: libseccomp's program is asked about each number. The new one loads the number
 * and finds its run by bisection; all comparisons come first, then one return for each action, then
 * whatever the caller appends, for what a number alone does not decide.
 * Trust boundary: none, as in gen_filters.c; tests/jail judges the result against an independent table.
 */
#include "jail/gen_tree.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#define MAX_RUNS 200u
#define MAX_ACTIONS 8u
#define MAX_JUMP 255u
#define X32 0x40000000u
#define HEAD 4u /* architecture, number, x32 */

/* What stands where: only loads, jumps and returns of libseccomp's kind. */
static bool judge_one(const struct sock_filter *code, size_t count, uint32_t number,
		      struct tree_verdict *verdict)
{
	uint32_t loaded = 0;

	for (size_t at = 0; at < count; at++) {
		const struct sock_filter *step = &code[at];

		switch (step->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (step->k > offsetof(struct seccomp_data, arch)) {
				*verdict = (struct tree_verdict){.by_arguments = true};
				return true;
			}
			loaded = step->k == offsetof(struct seccomp_data, nr) ? number
									      : AUDIT_ARCH_X86_64;
			break;
		case BPF_JMP | BPF_JA: at += step->k; break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += loaded == step->k ? step->jt : step->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K: at += loaded > step->k ? step->jt : step->jf; break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += loaded >= step->k ? step->jt : step->jf;
			break;
		case BPF_RET | BPF_K:
			*verdict = (struct tree_verdict){.action = step->k};
			return true;
		default: return false;
		}
	}
	return false;
}

bool tree_judge(const struct sock_filter *code, size_t count, struct tree_verdict *verdicts,
		uint32_t numbers)
{
	for (uint32_t number = 0; number < numbers; number++)
		if (!judge_one(code, count, number, &verdicts[number]))
			return false;
	return true;
}

struct run {
	uint32_t first;
	size_t action; /* its index; SIZE_MAX: what is appended, behind all of them */
};

struct tree {
	struct run runs[MAX_RUNS];
	size_t run_count;
	uint32_t actions[MAX_ACTIONS];
	size_t action_count;
	struct sock_filter *code;
	size_t used; /* comparisons written */
};

static bool same(const struct tree_verdict *a, const struct tree_verdict *b)
{
	return a->by_arguments == b->by_arguments && (a->by_arguments || a->action == b->action);
}

/* MAX_ACTIONS: one too many. */
static size_t action_index(struct tree *tree, uint32_t action)
{
	size_t i = 0;

	while (i < tree->action_count && tree->actions[i] != action)
		i++;
	if (i == tree->action_count && i < MAX_ACTIONS)
		tree->actions[tree->action_count++] = action;
	return i;
}

static bool find_runs(struct tree *tree, const struct tree_verdict *verdicts, uint32_t numbers)
{
	for (uint32_t number = 0; number < numbers; number++) {
		const struct tree_verdict *verdict = &verdicts[number];
		struct run *run;

		if (number > 0 && same(verdict, &verdicts[number - 1]))
			continue;
		if (tree->run_count == MAX_RUNS)
			return false;
		run = &tree->runs[tree->run_count++];
		*run = (struct run){number, SIZE_MAX};
		if (!verdict->by_arguments)
			run->action = action_index(tree, verdict->action);
		if (run->action == MAX_ACTIONS)
			return false;
	}
	return true;
}

/* From behind the comparison at `at` to the return of a run: tree_write() has seen that it fits. */
static uint8_t leap(const struct tree *tree, size_t at, const struct run *run)
{
	size_t target = run->action == SIZE_MAX ? tree->action_count : run->action;

	return (uint8_t)(HEAD + tree->run_count - 1 + target - (at + 1));
}

/* Comparisons for the runs from `low` on, `count` of them, at least two: one less than runs. */
static void bisect(struct tree *tree, size_t low, size_t count)
{
	size_t left = count / 2;
	size_t at = HEAD + tree->used++;
	struct sock_filter *step = &tree->code[at];

	*step = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
					     tree->runs[low + left].first, 0, 0);
	if (left == 1)
		step->jf = leap(tree, at, &tree->runs[low]);
	else
		bisect(tree, low, left);
	step->jt = (uint8_t)(HEAD + tree->used - (at + 1)); /* below MAX_RUNS */
	if (count - left == 1)
		step->jt = leap(tree, at, &tree->runs[low + left]);
	else
		bisect(tree, low + left, count - left);
}

static void write_head(const struct tree *tree, struct sock_filter *code)
{
	size_t rest = tree->run_count - 1 + tree->action_count; /* from behind the head */
	const struct sock_filter head[HEAD] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, (uint8_t)(rest + 2)),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, (uint8_t)rest, 0),
	};

	for (size_t i = 0; i < HEAD; i++)
		code[i] = head[i];
}

size_t tree_write(const struct tree_verdict *verdicts, uint32_t numbers, struct sock_filter *code,
		  size_t room)
{
	struct tree tree = {.code = code};
	size_t count;

	if (!find_runs(&tree, verdicts, numbers) || tree.run_count < 2)
		return 0;
	count = HEAD + tree.run_count - 1 + tree.action_count;
	/* No jump is longer than the one from the second step to behind it all. */
	if (count > room || count - HEAD + 2 > MAX_JUMP)
		return 0;
	bisect(&tree, 0, tree.run_count);
	write_head(&tree, code);
	for (size_t i = 0; i < tree.action_count; i++)
		code[HEAD + tree.used + i] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, tree.actions[i]);
	return count;
}
