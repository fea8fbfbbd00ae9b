/*
 * The interpreter of bpf.h. Anything outside of the subset, a jump past the end or a load that is
 * no field of struct seccomp_data gives BPF_INVALID, which equals no expected verdict.
 */
#include "bpf.h"

#include <string.h>

static size_t jump(const struct sock_filter *insn, uint32_t a)
{
	switch (BPF_OP(insn->code)) {
	case BPF_JA: return insn->k;
	case BPF_JEQ: return a == insn->k ? insn->jt : insn->jf;
	case BPF_JGT: return a > insn->k ? insn->jt : insn->jf;
	case BPF_JGE: return a >= insn->k ? insn->jt : insn->jf;
	case BPF_JSET: return (a & insn->k) ? insn->jt : insn->jf;
	default: return SIZE_MAX / 2;
	}
}

uint32_t bpf_run(const struct sock_filter *code, size_t count, const struct seccomp_data *data,
		 unsigned char *reached)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *insn = &code[pc];

		if (reached)
			reached[pc] = 1;
		if (BPF_CLASS(insn->code) == BPF_JMP) {
			pc += jump(insn, a);
		} else if (insn->code == (BPF_LD | BPF_W | BPF_ABS)) {
			if (insn->k % 4 || insn->k > sizeof(*data) - 4)
				return BPF_INVALID;
			memcpy(&a, (const char *)data + insn->k, sizeof(a));
		} else if (insn->code == (BPF_ALU | BPF_AND | BPF_K)) {
			a &= insn->k;
		} else if (insn->code == (BPF_RET | BPF_K)) {
			return insn->k;
		} else {
			return BPF_INVALID;
		}
	}
	return BPF_INVALID;
}

uint32_t bpf_stricter(uint32_t a, uint32_t b)
{
	int32_t x = (int32_t)(a & SECCOMP_RET_ACTION_FULL);
	int32_t y = (int32_t)(b & SECCOMP_RET_ACTION_FULL);

	return x <= y ? a : b;
}
