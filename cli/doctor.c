/*
 * doctor: looks at the host, then attacks the cages it offers, every engine on every rung, with
 * programs that know how. Nothing is believed that the attacked side says about its own strength:
 * verdicts come from bait, listeners and a victim that the doctor has placed itself, and from
 * secrets that no attack was told.
 *
 * PSB_DOCTOR_UNCAGED=1 is the doctor's own test: the same attacks by a plain interpreter, where
 * they must get through. Not as root, for then they would reach others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "doctor.h"

#define RUNGS "ABCD"
#define SECRET_FDS 3
#define EXIT_CANCELLED 130

struct doctor_args {
	bool json;
	const char *engine;
};

static const struct cli_option doctor_options[] = {
	{"--engine", "NAME", "only this one of `pysandbox engines` [all]", OPTION_TEXT,
	 offsetof(struct doctor_args, engine)},
	{"--json", NULL, "print one JSON object", OPTION_FLAG, offsetof(struct doctor_args, json)},
};

static const struct cli_syntax doctor_syntax = {
	.usage = "doctor [--engine NAME] [--json]",
	.about = "Shows what this host offers and lacks, then attacks its own cages. Exit code: 0 "
		 "all held,\n1 something got out, 125 nothing could be tested, 126 not everything.",
	.options = doctor_options,
	.option_count = 2,
};

/* What an engine must not pass on: a variable, and a descriptor that is not close-on-exec. It is
 * there under three numbers, for those of the low ones may be taken by others on the way. */
static int show_secrets(const struct marks *marks, int fds[SECRET_FDS])
{
	fds[0] = memfd_create("pysandbox-doctor", 0);
	if (fds[0] < 0)
		return -errno;
	if (write_all(fds[0], marks->text[MARK_DESCRIPTOR], MARK_BYTES - 1))
		return -EIO;
	for (int i = 1; i < SECRET_FDS; i++) {
		fds[i] = fcntl(fds[0], F_DUPFD, 70 * i);
		if (fds[i] < 0)
			return -errno;
	}
	return setenv("PSB_DOCTOR_SECRET", marks->text[MARK_ENVIRONMENT], 1) ? -errno : 0;
}

static struct cage_report *report_add(struct report *report, const char *engine, char rung)
{
	struct cage_report *grown =
		realloc(report->cages, (report->count + 1) * sizeof(*report->cages));
	struct cage_report *added;

	if (!grown)
		return NULL;
	report->cages = grown;
	added = &grown[report->count++];
	memset(added, 0, sizeof(*added));
	(void)snprintf(added->cage.engine, sizeof(added->cage.engine), "%s", engine);
	added->cage.rung[0] = rung;
	return added;
}

static int attack_rung(struct doctor *doctor, struct report *report, const char *engine, char rung,
		       bool best)
{
	struct cage_report *cage = report_add(report, engine, rung);

	if (cage)
		return doctor_attack(doctor, cage, best);
	complain("doctor: out of memory");
	return CLI_FAILED;
}

/* An engine that reports a rung has a ladder of them; each is attacked that the host has. */
static int attack_engine(struct doctor *doctor, struct report *report,
			 const struct psb_engine_info *info)
{
	bool ladder = info->rung[0] && strchr(RUNGS, info->rung[0]);
	struct cage_report *cage;
	int rc = 0;

	if (!info->available) {
		cage = report_add(report, info->name, '\0');
		if (!cage)
			return CLI_FAILED;
		cage->state = CAGE_NOT_OFFERED;
		(void)snprintf(cage->cage.reason, sizeof(cage->cage.reason), "%s", info->missing);
		return 0;
	}
	if (!ladder)
		return attack_rung(doctor, report, info->name, '\0', true);
	for (const char *rung = RUNGS; *rung && !rc; rung++)
		rc = attack_rung(doctor, report, info->name, *rung, *rung == info->rung[0]);
	return rc;
}

static int attack_all(struct doctor *doctor, struct report *report, const char *engine)
{
	struct psb_engine_info info = {.size = sizeof(info)};
	struct psb_error err = {0};
	bool known = !engine || !strcmp(engine, "auto");
	bool every = known;
	int rc = 0;

	if (doctor->uncaged)
		return attack_rung(doctor, report, "none", '\0', true);
	for (size_t i = 0; !rc && !psb_engine_at(i, &info, &err); i++) {
		if (!every && strcmp(engine, info.name) != 0)
			continue;
		known = true;
		rc = attack_engine(doctor, report, &info);
	}
	if (!known)
		return usage_error("doctor: there is no engine \"%.60s\" in this build; see "
				   "`pysandbox engines`",
				   engine);
	return rc;
}

static int prepare(struct doctor *doctor, int fds[SECRET_FDS])
{
	int rc = marks_make(&doctor->marks);

	if (!rc)
		rc = show_secrets(&doctor->marks, fds);
	bait_remove_stale();
	if (!rc)
		rc = bait_place(&doctor->bait, &doctor->marks);
	if (!rc)
		rc = victim_start(&doctor->victim, doctor->marks.text[MARK_VICTIM]);
	if (rc)
		complain("doctor: cannot place the secrets and the bait (in /tmp): %s",
			 strerror(-rc));
	return rc ? CLI_FAILED : 0;
}

static int examine(const struct doctor_args *args, struct report *report)
{
	struct doctor doctor = {.bait = {.hold = -1}, .victim = {.pid = -1, .lifeline = -1}};
	uint64_t start = now_us();
	int secrets[SECRET_FDS] = {-1, -1, -1};
	int rc;

	doctor.uncaged = getenv("PSB_DOCTOR_UNCAGED") != NULL;
	if (doctor.uncaged && geteuid() == 0)
		return usage_error("doctor: PSB_DOCTOR_UNCAGED is not for root");
	cancel_on_signals(NULL);
	rc = prepare(&doctor, secrets);
	host_look("/usr/bin/python3", &report->host);
	if (!rc)
		rc = attack_all(&doctor, report, args->engine);
	victim_end(&doctor.victim);
	bait_remove(&doctor.bait);
	for (size_t i = 0; i < SECRET_FDS; i++)
		close_fd(&secrets[i]);
	report->wall_ms = (now_us() - start) / 1000;
	if (!rc && cancel_seen())
		rc = EXIT_CANCELLED;
	return rc;
}

int cmd_doctor(int argc, char **argv)
{
	struct doctor_args args = {0};
	struct report report = {.cages = NULL};
	bool failed;
	int rc = cli_parse(&doctor_syntax, argc, argv, &args);

	if (rc)
		return rc == PARSE_HELP ? CLI_OK : rc;
	rc = examine(&args, &report);
	failed = rc == CLI_FAILED;
	if (rc == EXIT_CANCELLED)
		complain("doctor: cancelled; what was found so far is not shown");
	if (!rc) {
		if (args.json)
			report_json(&report);
		else
			report_table(&report);
		rc = report_code(&report);
	}
	free(report.cages);
	/* Code 1 is for leaks alone; what went wrong with the doctor itself was said already. */
	return failed ? EXIT_UNTESTED : rc;
}
