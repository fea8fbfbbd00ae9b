/*
 * Judges the generated programs by interpretation: every number on every rung, as the zygote and
 * as an instance; rows with arguments; foreign architectures; no instruction without a purpose.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "bpf.h"
#include "jail/filters.h"
#include "jail/jail.h"
#include "verdict_classes.h"
#include "verdict_rows.h"

enum who { ZYGOTE, INSTANCE, FORKER, WHO_END };

#define MAX_CODE 1024

static const char *const who_names[] = {"zygote", "instance", "instance that may fork"};
static unsigned char reached[RUNG_D + 1][WHO_END][MAX_CODE];

static uint32_t judge_one(enum jail_rung rung, enum who who, const struct seccomp_data *data)
{
	struct sock_filter code[MAX_CODE];
	size_t count;
	const struct sock_filter *program =
		jail_seccomp_program(rung, who != ZYGOTE, who == FORKER, &count);

	assert_true(program && count > 0 && count < MAX_CODE);
	memcpy(code, program, count * sizeof(*code));
	for (size_t i = 0; i < count; i++) {
		if (code[i].k == FILTER_SENTINEL_PID)
			code[i].k = who == ZYGOTE ? ZYGOTE_PID : OWN_PID;
		if (code[i].k == FILTER_SENTINEL_FD)
			code[i].k = RESULT_FD;
	}
	return bpf_run(code, count, data, reached[rung][who]);
}

static uint32_t judge(enum jail_rung rung, enum who who, const struct seccomp_data *data)
{
	uint32_t verdict = judge_one(rung, ZYGOTE, data);

	if (who == ZYGOTE || verdict == BPF_INVALID)
		return verdict;
	return bpf_stricter(verdict, judge_one(rung, who, data));
}

static uint32_t judge_call(enum jail_rung rung, enum who who, int number, const uint64_t *args)
{
	struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};

	if (args)
		memcpy(data.args, args, sizeof(data.args));
	return judge(rung, who, &data);
}

static bool named(const char *list, const char *name)
{
	char word[80];

	(void)snprintf(word, sizeof(word), " %s ", name);
	return strstr(list, word) != NULL;
}

/* 0: by arguments. */
static uint32_t expected_class(int number, enum jail_rung rung, enum who who)
{
	const char *name = jail_syscall_name(number);
	bool namespaces = rung <= RUNG_B;

	if (number > 450)
		return REFUSE(ENOSYS);
	if (!name)
		return REFUSE(EPERM);
	if (named(allowed_always, name) || (named(namespaces_only, name) && namespaces))
		return ALLOW;
	if (named(reported_always, name))
		return REPORT;
	if (named(zygote_only, name) || (named(zygote_of_namespaces, name) && namespaces))
		return who == ZYGOTE ? ALLOW : REFUSE(EPERM);
	if (named(forks, name))
		return who == INSTANCE ? REFUSE(EAGAIN) : ALLOW;
	if (named(absent_always, name))
		return REFUSE(ENOSYS);
	return named(by_argument, name) ? 0 : REFUSE(EPERM);
}

static void every_number_has_its_verdict(void **state)
{
	(void)state;
	for (enum jail_rung rung = RUNG_A; rung <= RUNG_D; rung++) {
		for (int i = 0; i <= 500 * WHO_END + 2; i++) {
			enum who who = (enum who)(i % WHO_END);
			int number = i / WHO_END;
			uint32_t want = expected_class(number, rung, who);
			uint32_t got = judge_call(rung, who, number, NULL);

			if (want && got != want)
				fail_msg("rung %c, %s, call %d (%s): 0x%08x, expected 0x%08x",
					 'A' + (int)rung, who_names[who], number,
					 jail_syscall_name(number), got, want);
			assert_int_not_equal(got, BPF_INVALID);
		}
	}
}

static void check_row(const struct row *row, enum jail_rung rung)
{
	const uint32_t want[] = {row->zygote, row->instance, row->forker};

	for (enum who who = ZYGOTE; who < WHO_END; who++) {
		uint32_t got = judge_call(rung, who, row->number, row->args);

		if (got != want[who])
			fail_msg("row %d, rung %c, %s, %s: 0x%08x, expected 0x%08x", row->line,
				 'A' + (int)rung, who_names[who], jail_syscall_name(row->number),
				 got, want[who]);
	}
}

static void arguments_decide(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (const char *rung = rows[i].rungs; *rung; rung++)
			check_row(&rows[i], (enum jail_rung)(*rung - 'A'));
	}
}

/* A call judged by arguments has at least one row that lets it pass and one that does not. */
static void argument_rows_are_complete(void **state)
{
	(void)state;
	for (int number = 0; number <= 450; number++) {
		const char *name = jail_syscall_name(number);
		bool passes = false;
		bool refused = false;

		if (!name || !named(by_argument, name))
			continue;
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			if (rows[i].number != number)
				continue;
			passes |= rows[i].zygote == ALLOW;
			refused |= rows[i].instance != ALLOW;
		}
		if (!passes || !refused)
			fail_msg("%s lacks a row", name);
	}
}

/* By the template's program; an instance's own has nothing to say about them. */
static void foreign_calls_are_reported(void **state)
{
	(void)state;
	for (int i = 0; i < 4 * WHO_END; i++) {
		enum jail_rung rung = (enum jail_rung)(i / WHO_END);
		enum who who = (enum who)(i % WHO_END);
		struct seccomp_data i386 = {.nr = 1, .arch = AUDIT_ARCH_I386};
		struct seccomp_data x32 = {.nr = 0x40000000 + SYS_getpid,
					   .arch = AUDIT_ARCH_X86_64};
		struct seccomp_data arm = {.nr = SYS_read, .arch = AUDIT_ARCH_AARCH64};

		for (i386.nr = 0; i386.nr <= 500; i386.nr++)
			assert_int_equal(judge(rung, who, &i386), REPORT);
		assert_int_equal(judge(rung, who, &x32), REPORT);
		assert_int_equal(judge(rung, who, &arm), REPORT);
	}
}

/* The instance's program must never notify (no listener: ENOSYS), nor kill, and never mask a
 * report. */
static void the_instance_only_takes_away(void **state)
{
	(void)state;
	for (enum jail_rung rung = RUNG_A; rung <= RUNG_D; rung++) {
		for (int number = 0; number <= 500; number++) {
			struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};
			uint32_t zygote = judge_one(rung, ZYGOTE, &data);
			uint32_t instance = judge_one(rung, INSTANCE, &data);

			assert_int_not_equal(instance, REPORT);
			assert_int_not_equal(instance, SECCOMP_RET_KILL_PROCESS);
			if (zygote == REPORT && !named(by_argument, jail_syscall_name(number)))
				assert_int_equal(judge(rung, INSTANCE, &data), REPORT);
		}
	}
}

/* Runs last: after all rows, every verdict of every program was somebody's, but for the closing one
 * that libseccomp always adds. */
static void no_verdict_is_redundant(void **state)
{
	(void)state;
	for (int i = 0; i < 4 * WHO_END; i++) {
		enum jail_rung rung = (enum jail_rung)(i / WHO_END);
		enum who who = (enum who)(i % WHO_END);
		size_t count;
		const struct sock_filter *code =
			jail_seccomp_program(rung, who != ZYGOTE, who == FORKER, &count);

		for (size_t pc = 0; pc + 1 < count; pc++) {
			if (code[pc].code == (BPF_RET | BPF_K) && !reached[rung][who][pc])
				fail_msg("rung %c, %s: verdict at %zu is never reached",
					 'A' + (int)rung, who_names[who], pc);
		}
	}
}

static void names_are_the_kernels(void **state)
{
	(void)state;
	assert_string_equal(jail_syscall_name(SYS_ptrace), "ptrace");
	assert_string_equal(jail_syscall_name(SYS_openat), "openat");
	assert_string_equal(jail_syscall_name(SYS_futex_waitv), "futex_waitv");
	assert_null(jail_syscall_name(-1));
	assert_null(jail_syscall_name(400));
	assert_null(jail_syscall_name(1000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_verdict),
		cmocka_unit_test(arguments_decide),
		cmocka_unit_test(argument_rows_are_complete),
		cmocka_unit_test(foreign_calls_are_reported),
		cmocka_unit_test(the_instance_only_takes_away),
		cmocka_unit_test(names_are_the_kernels),
		cmocka_unit_test(no_verdict_is_redundant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
