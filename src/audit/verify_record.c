/*
 * Verification, the part that knows records: is the line what its hash says, does it continue the
 * record before, and are `begin` and `torn` where they belong?
 *
 * What each check can show follows from what its hash covers. A changed record breaks its own
 * hash; a removed, repeated or moved one breaks the link and the numbering of its neighbours.
 * Without a key all of that can be computed anew by whoever changes the file; the caller is told.
 */
#include <inttypes.h>
#include <string.h>

#include "audit/verify.h"
#include "core/json_read.h"

static bool member_text(struct json_value top, const char *name, char *out, size_t size)
{
	struct json_value value;

	if (!json_member(top, name, &value) || json_type(value) != JSON_STRING ||
	    value.len - 2 >= size || memchr(value.at, '\\', value.len))
		return false;
	memcpy(out, value.at + 1, value.len - 2);
	out[value.len - 2] = '\0';
	return true;
}

static uint64_t member_count(struct json_value top, const char *name)
{
	struct json_value value;
	int64_t number = 0;

	if (!json_member(top, name, &value) || json_type(value) != JSON_NUMBER ||
	    !json_int(value, &number) || number < 0)
		return 0;
	return (uint64_t)number;
}

/* `begin` says how the chain is sealed. Believed only as far as it agrees with what was given. */
static void choose_seal(struct verifier *v, struct json_value top)
{
	char kind[16] = "";
	char id[32] = "";

	(void)member_text(top, "chain", kind, sizeof(kind));
	(void)member_text(top, "key_id", id, sizeof(id));
	v->keyed = v->given.keyed;
	v->sealed = true;
	if (strcmp(kind, "sha256") == 0) {
		v->keyed = false;
		if (v->given.keyed)
			verify_fault(v, v->line,
				     "the chain has no key, though one was given: anybody who may "
				     "write the file could have made it");
	} else if (strcmp(kind, "hmac-sha256") != 0) {
		verify_fault(v, v->line, "`chain` is neither sha256 nor hmac-sha256");
	} else if (!v->given.keyed) {
		v->sealed = false;
		verify_fault(v, v->line,
			     "the chain is sealed with a key (id %s), without which its records "
			     "cannot be checked: give it",
			     id);
	} else if (strcmp(id, v->given.id) != 0) {
		verify_fault(v, v->line, "the chain's key has the id %s, the one given has %s", id,
			     v->given.id);
	}
}

static bool check_seal(struct verifier *v, const uint8_t *text, const struct audit_line *line)
{
	static const struct audit_key no_key;

	if (!v->sealed || audit_line_sealed(v->keyed ? &v->given : &no_key, text, line))
		return true;
	verify_fault(v, v->line, "does not match its hash: it was changed after it was written");
	return false;
}

static void check_first(struct verifier *v, const struct audit_line *line)
{
	bool genesis = strcmp(line->prev, AUDIT_GENESIS) == 0;

	v->report.first_seq = line->seq;
	memcpy(v->report.previous, line->prev, sizeof(v->report.previous));
	if (v->before) {
		if (strcmp(line->prev, v->before) != 0)
			verify_fault(v, v->line,
				     "does not continue the head given as the previous one");
	} else {
		v->report.continues = !genesis;
		if (genesis != (line->seq == 1))
			verify_fault(v, v->line, "is number %" PRIu64 ", but %s", line->seq,
				     genesis ? "continues nothing" : "continues another record");
	}
}

/* A fault leaves its mark on the link to the next record: that one is only counted. */
static void check_numbering(struct verifier *v, const struct audit_line *line)
{
	uint64_t most = v->head.seq + 1 + v->bad_lines;

	if (line->seq <= v->head.seq)
		verify_fault(v, v->line,
			     "is number %" PRIu64 " behind number %" PRIu64 ": moved or repeated",
			     line->seq, v->head.seq);
	else if (line->seq > most)
		verify_fault(v, v->line,
			     "is number %" PRIu64 ", but number %" PRIu64 " is due: %" PRIu64
			     " were removed before it",
			     line->seq, most, line->seq - most);
}

static void check_link(struct verifier *v, const struct audit_line *line)
{
	bool linked = strcmp(line->prev, v->head.hash) == 0;

	if (!v->any) {
		check_first(v, line);
		return;
	}
	if (v->adopt || line->seq != v->head.seq + 1)
		check_numbering(v, line);
	else if (!linked)
		verify_fault(v, v->line,
			     "does not continue the record before it: that one was replaced");
}

static void check_torn(struct verifier *v, const struct audit_line *line, struct json_value top)
{
	bool says_torn = strcmp(line->event, "torn") == 0;
	char stated[AUDIT_HASH_CHARS + 1] = "";
	char actual[AUDIT_HASH_CHARS + 1];
	uint8_t digest[32];

	if (v->torn_bytes == 0 && says_torn)
		verify_fault(v, v->line, "closes off a torn line, but none is before it: removed");
	if (v->torn_bytes == 0)
		return;
	sha256_final(&v->torn_hash, digest);
	audit_hex(digest, actual);
	if (!says_torn)
		verify_fault(v, v->torn_line, "is torn and marked, but no record closes it off");
	else if (!member_text(top, "sha256", stated, sizeof(stated)) ||
		 strcmp(stated, actual) != 0 || member_count(top, "bytes") != v->torn_bytes)
		verify_fault(v, v->torn_line,
			     "is torn, and not what the record that closes it off has seen: "
			     "changed");
	else
		v->report.torn++;
	v->torn_bytes = 0;
}

static void count(struct verifier *v, const struct audit_line *line, struct json_value top)
{
	struct json_value engine;

	v->report.records++;
	v->report.lost += member_count(top, "lost");
	if (strcmp(line->event, "accepted") == 0)
		v->report.accepted++;
	else if (strcmp(line->event, "refused") == 0)
		v->report.refused++;
	else if (strcmp(line->event, "not_started") == 0)
		v->not_started++;
	else if (strcmp(line->event, "ended") == 0) {
		v->report.ended++;
		v->ended_runs +=
			json_member(top, "engine", &engine) && json_type(engine) == JSON_STRING;
	}
}

static void go_on(struct verifier *v, const struct audit_line *line, bool good)
{
	/* The number of a record that was changed is as doubtful as the rest of it. */
	v->head.seq = good || !v->any ? line->seq : v->head.seq + 1 + v->bad_lines;
	memcpy(v->head.hash, line->hash, sizeof(v->head.hash));
	v->any = true;
	v->adopt = !good;
	v->bad_lines = 0;
	if (v->found)
		v->report.after_head++;
	if (good && v->wanted && strcmp(v->wanted, line->hash) == 0) {
		v->found = true;
		v->report.after_head = 0;
	}
}

void verify_record(struct verifier *v, const uint8_t *text, size_t len,
		   const struct audit_line *line)
{
	struct json_value top = json_top(text, len);
	bool begins = strcmp(line->event, "begin") == 0;
	bool good;

	if (begins)
		choose_seal(v, top);
	good = check_seal(v, text, line);
	if (v->expect_begin && !begins && strcmp(line->event, "torn") != 0) {
		verify_fault(v, v->line,
			     "the file's first record is no `begin`: those before it "
			     "were removed");
		v->expect_begin = false;
	}
	if (begins)
		v->expect_begin = false;
	if (good)
		check_link(v, line);
	check_torn(v, line, top);
	count(v, line, top);
	go_on(v, line, good);
}
