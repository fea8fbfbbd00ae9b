/*
 * Build-time generator: turns the table of rules.h into BPF programs and a table of system-call
 * names (filters.h). libseccomp turns rules into a program, gen_tree.c makes it shorter; the run-time
 * code then needs no library and no allocation. Trust boundary: none, its input is our own table; but a wrong program is a hole,
 * so what it emits is checked here (bounds, sentinels) and interpreted against an independent
 * table of verdicts in tests/jail.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jail/gen_tree.h"
#include "jail/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_INSTRUCTIONS 2048
#define MAX_TEMPLATE 1024 /* they are patched in a copy on the stack */
#define MAX_INSTANCE 512
#define PROLOGUE 6
#define NAMES_END 600
#define NUMBERS (LAST_KNOWN + 2) /* the last one stands for all that are not known */

struct variant {
	const char *name;
	unsigned int rungs;
	bool instance;
	bool allow_fork;
};

static const struct variant variants[] = {
	{"template_a", ON_A, false, true},
	{"template_b", ON_B, false, true},
	{"template_plain", ON_PLAIN, false, true},
	{"instance_ns", ON_NS, true, false},
	{"instance_ns_fork", ON_NS, true, true},
	{"instance_plain", ON_PLAIN, true, false},
	{"instance_plain_fork", ON_PLAIN, true, true},
};

static void die(const char *what, const char *which, int rc)
{
	(void)fprintf(stderr, "gen_filters: %s: %s: %s\n", what, which,
		      strerror(rc < 0 ? -rc : rc));
	exit(1);
}

/* What the rule means in this variant; false: nothing to add. */
static bool rule_action(const struct variant *variant, const struct rule *rule, uint32_t *action)
{
	bool here = (rule->rungs & variant->rungs) != 0;
	bool template = here && !variant->instance;
	bool instance = here && variant->instance;

	switch (rule->kind) {
	case RULE_ALLOW: *action = SCMP_ACT_ALLOW; return template;
	case RULE_ZYGOTE: *action = template ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM); return here;
	case RULE_FORK:
		*action = template ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAGAIN);
		return here && (template || !variant->allow_fork);
	case RULE_REPORT: *action = SCMP_ACT_NOTIFY; return template;
	case RULE_ABSENT: *action = SCMP_ACT_ERRNO(ENOSYS); return template;
	case RULE_TRIM: *action = SCMP_ACT_ERRNO((unsigned int)rule->error); return instance;
	}
	return false;
}

/* `only`: the calls that it says are judged by arguments, and no others; NULL: all. */
static void add_rule(scmp_filter_ctx ctx, const struct variant *variant, const struct rule *rule,
		     const struct tree_verdict *only)
{
	int number = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, rule->call);
	uint32_t action;
	int rc;

	if (number < 0 || number > LAST_KNOWN)
		die("no such system call", rule->call, EINVAL);
	if (!rule_action(variant, rule, &action) || (only && !only[number].by_arguments))
		return;
	rc = seccomp_rule_add_exact_array(ctx, action, number, rule->argc, rule->args);
	if (rc < 0)
		die(variant->name, rule->call, rc);
}

static void add_calls(scmp_filter_ctx ctx, const struct variant *variant, const char *const *calls,
		      size_t count, enum rule_kind kind, const struct tree_verdict *only)
{
	for (size_t i = 0; i < count; i++) {
		struct rule rule = {.call = calls[i], .kind = kind, .rungs = ON_ALL};

		add_rule(ctx, variant, &rule, only);
	}
}

static scmp_filter_ctx build(const struct variant *variant, const struct tree_verdict *only)
{
	uint32_t fallback = variant->instance ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
	/* Calls of a foreign architecture or of x32 are reported; the instance's program leaves them
	 * to the template's. */
	uint32_t foreign = variant->instance ? SCMP_ACT_ALLOW : SCMP_ACT_NOTIFY;
	scmp_filter_ctx ctx = seccomp_init(fallback);

	if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, foreign) < 0)
		die("libseccomp", variant->name, ENOMEM);
	add_calls(ctx, variant, allow_calls, COUNT(allow_calls), RULE_ALLOW, only);
	add_calls(ctx, variant, report_calls, COUNT(report_calls), RULE_REPORT, only);
	add_calls(ctx, variant, zygote_calls, COUNT(zygote_calls), RULE_ZYGOTE, only);
	for (size_t i = 0; i < COUNT(argument_rules); i++)
		add_rule(ctx, variant, &argument_rules[i], only);
	return ctx;
}

/* Numbers that did not exist when the policy was written: ENOSYS, so that libc falls back. */
static size_t put_prologue(struct sock_filter *code)
{
	const struct sock_filter prologue[PROLOGUE] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2, 0), /* x32: refused below */
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	memcpy(code, prologue, sizeof(prologue));
	return PROLOGUE;
}

static size_t export(scmp_filter_ctx ctx, struct sock_filter *code, size_t room)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t bytes;
	int rc;

	if (fd < 0)
		die("memfd_create", "", errno);
	rc = seccomp_export_bpf(ctx, fd);
	if (rc < 0)
		die("seccomp_export_bpf", "", rc);
	bytes = pread(fd, code, room * sizeof(*code), 0);
	(void)close(fd);
	if (bytes <= 0 || (size_t)bytes % sizeof(*code) || (size_t)bytes == room * sizeof(*code))
		die("size of the program", "", EFBIG);
	return (size_t)bytes / sizeof(*code);
}

static size_t count_constant(const struct sock_filter *code, size_t count, uint32_t constant)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += code[i].k == constant && code[i].code == (BPF_JMP | BPF_JEQ | BPF_K);
	return found;
}

/* Rows that name a sentinel leave one comparison each, or share one where the rest of the block is
 * alike; a sentinel without a row, or anywhere but in a comparison, is a mistake. That every row
 * got its own is for the interpreter in tests/jail to say. */
static size_t check_sentinel(const struct variant *variant, const struct sock_filter *code,
			     size_t count, uint32_t sentinel)
{
	size_t rows = 0;
	size_t found = count_constant(code, count, sentinel);
	uint32_t action;

	for (size_t i = 0; i < COUNT(argument_rules); i++) {
		const struct rule *rule = &argument_rules[i];
		const struct scmp_arg_cmp *arg = &rule->args[0];

		rows += (arg->datum_a == sentinel || arg->datum_b == sentinel) &&
			rule_action(variant, rule, &action);
	}
	if (found > rows || (rows > 0 && found == 0))
		die("count of a sentinel", variant->name, EDOM);
	for (size_t i = 0; i < count; i++) {
		if (code[i].k == sentinel && code[i].code != (BPF_JMP | BPF_JEQ | BPF_K))
			die("place of a sentinel", variant->name, EDOM);
	}
	return found;
}

static void emit_program(FILE *out, const struct variant *variant, const struct sock_filter *code,
			 size_t count)
{
	(void)fprintf(out, "static const struct sock_filter %s[] = {\n", variant->name);
	for (size_t i = 0; i < count; i++)
		(void)fprintf(out, "\t{0x%02x, %u, %u, 0x%08x},\n", code[i].code, code[i].jt,
			      code[i].jf, code[i].k);
	(void)fprintf(out, "};\n#define %s_PIDS %zu\n#define %s_FDS %zu\n\n", variant->name,
		      check_sentinel(variant, code, count, SENTINEL_PID), variant->name,
		      check_sentinel(variant, code, count, SENTINEL_FD));
}

static size_t compile(const struct variant *variant, const struct tree_verdict *only,
		      struct sock_filter *code, size_t room)
{
	scmp_filter_ctx ctx = build(variant, only);
	size_t count = variant->instance || only ? 0 : put_prologue(code);

	count += export(ctx, code + count, room - count);
	seccomp_release(ctx);
	return count;
}

/* The short program must say what the long one says. */
static void compare(const struct variant *variant, const struct tree_verdict *verdicts,
		    const struct sock_filter *code, size_t count)
{
	static struct tree_verdict found[NUMBERS];

	if (!tree_judge(code, count, found, NUMBERS))
		die("the short program cannot be judged", variant->name, EINVAL);
	for (size_t i = 0; i < NUMBERS; i++)
		if (found[i].by_arguments != verdicts[i].by_arguments ||
		    found[i].action != verdicts[i].action)
			die("the short program differs", variant->name, EDOM);
}

/* In place of the program in `code`; its length. Where few calls are spoken of, libseccomp's is shorter
 * and stays. */
static size_t shorten(const struct variant *variant, struct sock_filter *code, size_t count)
{
	static struct sock_filter other[MAX_INSTRUCTIONS];
	static struct tree_verdict verdicts[NUMBERS];
	size_t length;

	if (!tree_judge(code, count, verdicts, NUMBERS))
		die("the program cannot be judged", variant->name, EINVAL);
	length = tree_write(verdicts, NUMBERS, other, COUNT(other));
	if (length == 0)
		die("the program has too many runs of calls", variant->name, EFBIG);
	length += compile(variant, verdicts, other + length, COUNT(other) - length);
	compare(variant, verdicts, other, length);
	if (length >= count)
		return count;
	memcpy(code, other, length * sizeof(*code));
	return length;
}

static void emit_variant(FILE *out, const struct variant *variant)
{
	static struct sock_filter code[MAX_INSTRUCTIONS];
	size_t count = compile(variant, NULL, code, COUNT(code));

	count = shorten(variant, code, count);
	if (count > (variant->instance ? MAX_INSTANCE : MAX_TEMPLATE))
		die("instructions", variant->name, EFBIG);
	emit_program(out, variant, code, count);
}

static void emit_names(FILE *out)
{
	(void)fprintf(out, "static const char *const syscall_names[] = {\n");
	for (int number = 0; number < NAMES_END; number++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);

		if (name)
			(void)fprintf(out, "\t[%d] = \"%s\",\n", number, name);
		free(name);
	}
	(void)fprintf(out, "};\n");
}

int main(int argc, char **argv)
{
	FILE *out;

	/* Do not ask the building kernel what it can: the programs run on another one. */
	if (argc != 2 || seccomp_api_set(6) < 0)
		die("usage", "gen_filters OUTPUT", EINVAL);
	out = fopen(argv[1], "we");
	if (!out)
		die("open", argv[1], errno);
	(void)fprintf(out,
		      "/* Made by gen_filters.c from rules.h: do not edit. */\n"
		      "#define FILTER_SENTINEL_PID 0x%xu\n#define FILTER_SENTINEL_FD 0x%xu\n"
		      "#define FILTER_MAX %d\n\n",
		      SENTINEL_PID, SENTINEL_FD, MAX_TEMPLATE);
	for (size_t i = 0; i < COUNT(variants); i++)
		emit_variant(out, &variants[i]);
	emit_names(out);
	if (fclose(out) != 0)
		die("write", argv[1], errno);
	return 0;
}
