/*
 * One cage: a sandbox of one engine on one rung, opened with the lowest floor and without import
 * lists, so that the weakest rung too is tested and the wall alone. What the cage claims is read
 * from the outcome of a plain program: claims are judged, not believed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_read.h"
#include "doctor.h"

#define POLICY "{\"name\":\"doctor\",\"imports\":{\"mode\":\"off\"},\"require\":1}"
/* A native instance is forked with them loaded: a third of the time. Other engines may lack some. */
#define PRELOAD "ctypes,errno,fcntl,json,platform,re,resource,signal,socket"
#define EXIT_CANCELLED 130

static void copy_text(struct json_value value, char *out, size_t room)
{
	char *text = json_string_dup(value, room - 1);

	(void)snprintf(out, room, "%s", text ? text : "");
	free(text);
}

/* The mechanisms in one text, as many as there is room for. */
static void join_texts(struct json_value list, char *out, size_t room)
{
	struct json_iter iter = json_iterate(list);
	struct json_value item;

	out[0] = '\0';
	while (json_next_item(&iter, &item)) {
		char text[sizeof(((struct claim *)NULL)->how)];
		size_t used = strlen(out);

		copy_text(item, text, sizeof(text));
		if (used + 1 + strlen(text) < room)
			(void)snprintf(out + used, room - used, "%s%s", used ? "," : "", text);
	}
}

static void read_claim(struct json_value key, struct json_value value, struct claims *claims)
{
	struct claim *claim;
	struct json_value part;
	char by[16] = "";

	if (claims->count == CLAIMS_MAX)
		return;
	claim = &claims->items[claims->count++];
	*claim = (struct claim){0};
	copy_text(key, claim->control, sizeof(claim->control));
	if (json_member(value, "by", &part))
		copy_text(part, by, sizeof(by));
	if (json_member(value, "how", &part) && json_type(part) == JSON_ARRAY)
		join_texts(part, claim->how, sizeof(claim->how));
	claim->kept = !strcmp(by, "kernel") || !strcmp(by, "hypervisor") || !strcmp(by, "runtime");
}

int claims_read(const char *json, size_t len, struct claims *claims, int *level)
{
	struct json_value top = json_top((const uint8_t *)json, len);
	struct json_value engine;
	struct json_value value;
	struct json_value key;
	struct json_iter iter;
	int64_t number = 0;

	*claims = (struct claims){0};
	if (!json_member(top, "engine", &engine) || json_type(engine) != JSON_OBJECT ||
	    !json_member(engine, "controls", &value) || json_type(value) != JSON_OBJECT)
		return -1;
	iter = json_iterate(value);
	while (json_next_member(&iter, &key, &value))
		read_claim(key, value, claims);
	if (json_member(engine, "level", &value))
		(void)json_int(value, &number);
	*level = (int)number;
	return claims->count ? 0 : -1;
}

static int copy_bytes(const char *from, size_t len, char **out)
{
	*out = malloc(len + 1);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, from ? from : "", len);
	(*out)[len] = '\0';
	return 0;
}

static void read_denied(const struct run_end *end, char *out, size_t room)
{
	struct json_value top = json_top((const uint8_t *)end->json, end->json_len);
	struct json_value list;
	struct json_value item;
	struct json_iter iter;

	out[0] = '\0';
	if (!json_member(top, "denied", &list) || json_type(list) != JSON_ARRAY)
		return;
	iter = json_iterate(list);
	if (json_next_item(&iter, &item) && json_type(item) == JSON_OBJECT &&
	    json_member(item, "name", &item))
		copy_text(item, out, room);
}

static int take_end(const psb_outcome *outcome, struct run_end *end)
{
	const char *text = psb_outcome_stdout(outcome, &end->len);
	const char *json = psb_outcome_json(outcome, &end->json_len);

	end->status = psb_outcome_status(outcome);
	end->signal = psb_outcome_signal(outcome);
	if (copy_bytes(text, end->len, &end->text) || copy_bytes(json, end->json_len, &end->json)) {
		run_end_free(end);
		complain("doctor: out of memory");
		return CLI_FAILED;
	}
	read_denied(end, end->denied, sizeof(end->denied));
	return 0;
}

static int caged_execute(struct cage *cage, const char *source, const char *inputs,
			 struct run_end *end)
{
	struct psb_request request;
	struct psb_error err = {0};
	psb_outcome *outcome;
	int rc;

	psb_request_init(&request);
	request.source = source;
	request.source_len = strlen(source);
	request.filename = "<attack>"; /* no name of a file: nothing of ours is left there */
	request.inputs = inputs;
	request.inputs_len = inputs ? strlen(inputs) : 0;
	if (cancel_seen())
		return EXIT_CANCELLED;
	cancel_on_signals(cage->sandbox);
	rc = psb_execute(cage->sandbox, &request, &outcome, &err);
	cancel_forget();
	if (rc) {
		complain("doctor: %s", err.message);
		return CLI_FAILED;
	}
	rc = take_end(outcome, end);
	psb_outcome_free(outcome);
	return rc ? rc : (cancel_seen() ? EXIT_CANCELLED : 0);
}

int cage_execute(struct cage *cage, const char *source, const char *inputs, const char *directory,
		 struct run_end *end)
{
	int rc;

	*end = (struct run_end){0};
	if (!cage->uncaged) {
		rc = caged_execute(cage, source, inputs, end);
	} else {
		rc = uncaged_execute(source, inputs, directory, end);
		if (rc)
			complain("doctor: cannot run python3: %s", strerror(-rc));
		rc = rc ? CLI_FAILED : 0;
	}
	if (rc)
		run_end_free(end);
	return rc;
}

static int open_sandbox(struct cage *cage, struct psb_error *err)
{
	struct psb_options options;
	int rc;

	psb_options_init(&options);
	options.engine = cage->engine;
	options.rung = cage->rung[0] ? cage->rung : NULL;
	options.policy = POLICY;
	options.preload = cage->rung[0] ? PRELOAD : NULL;
	options.pool_size = cage->pool_size;
	psb_limits_init(&options.limits);
	options.limits.wall_ms = cage->wall_ms;
	progress_watch(&options);
	rc = psb_open(&options, &cage->sandbox, err);
	if (!rc)
		rc = psb_warm(cage->sandbox, 1, PROGRESS_WAIT_MS, err);
	progress_end();
	return rc;
}

/* A plain program must run, or nothing an attack fails at would mean anything. */
static int learn_claims(struct cage *cage)
{
	struct run_end end = {0};
	int rc = cage_execute(cage, "print('well')", NULL, NULL, &end);

	if (rc) {
		(void)snprintf(cage->reason, sizeof(cage->reason), "%s",
			       rc == EXIT_CANCELLED ? "cancelled" : "a plain program failed");
		return -1;
	}
	rc = end.status == PSB_OK && end.len == 5 && !memcmp(end.text, "well\n", 5) ? 0 : -1;
	if (!rc)
		rc = claims_read(end.json, end.json_len, &cage->claims, &cage->level);
	if (rc)
		(void)snprintf(cage->reason, sizeof(cage->reason), "a plain program failed: %.400s",
			       end.json);
	run_end_free(&end);
	return rc;
}

int cage_open(struct cage *cage)
{
	struct psb_error err = {0};
	int rc;

	cage->sandbox = NULL;
	cage->claims = (struct claims){.all = cage->uncaged};
	if (cage->uncaged)
		return 0;
	rc = open_sandbox(cage, &err) ? CAGE_NONE : 0;
	if (rc)
		(void)snprintf(cage->reason, sizeof(cage->reason), "%s", err.message);
	else
		rc = learn_claims(cage) ? CAGE_SICK : 0;
	if (rc)
		cage_close(cage);
	return rc;
}

void cage_close(struct cage *cage)
{
	psb_close(cage->sandbox);
	cage->sandbox = NULL;
}
