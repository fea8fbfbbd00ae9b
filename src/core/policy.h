/*
 * Policies: a template's name or JSON text (docs/policy.md), compiled into limits, import list,
 * rules for files and environment, and a floor. Split over policy.c (from options to what is in
 * force), policy_read.c (the text), policy_members.c and
 * policy_rules.c (its members), policy_text.c (what the two
 * share), policy_write.c (canonical text), policy_call.c (the rules for one call) and site.c (the
 * rules of the machine's administrator).
 */
#ifndef PSB_CORE_POLICY_H
#define PSB_CORE_POLICY_H

#include <stdbool.h>

#include "core/floor.h"
#include "core/limits.h"
#include "core/plan.h"
#include "pysandbox.h"

#define POLICY_MAX_BYTES (256u << 10)
#define POLICY_MAX_IMPORTS 1024u
#define POLICY_MAX_IMPORT_BYTES 128u
#define POLICY_MAX_VARIABLES 64u
#define POLICY_MAX_VARIABLE_BYTES 4096u
#define POLICY_MAX_INPUTS 256u
#define POLICY_MAX_SITES 2u

/* What a policy may state and a site may lock: each number of the limits, then these. */
enum policy_part {
	PART_on_output_limit = LIMIT_SPEC_COUNT,
	PART_imports,
	PART_files,
	PART_environment,
	PART_network,
	PART_fresh_worker,
	PART_share_image,
	PART_COUNT
};

#define PART_BIT(part) (1u << (part))

struct name_list {
	char **items; /* owned, each too */
	size_t count;
};

struct policy_files {
	uint32_t max_inputs;      /* files that a request may bring; 0: none */
	uint64_t max_input_bytes; /* all of them together; 0: the workspace's limit alone */
	bool output;              /* a request may collect the workspace's files */
};

struct policy_environment {
	bool any;               /* a request may set any variable */
	struct name_list allow; /* else only these; "LC_*" stands for every name so begun */
	struct name_list set;   /* "NAME=VALUE" that every run gets and no request may change */
};

/* What the rules of a site have done to a policy. */
struct policy_site {
	char note[POLICY_MAX_SITES][360]; /* "; site policy PATH: its message" */
	size_t count;                     /* of sites that were applied */
	struct psb_limits most;           /* maxima; 0: none */
	struct floor floor;
	size_t floor_by;        /* the last site that has one, by index into note */
	unsigned int locked;    /* bits by enum policy_part */
	unsigned int lowered;   /* limits that are smaller than they would be */
	uint8_t by[PART_COUNT]; /* which site bound it, by index into note */
};

struct policy {
	char name[64];
	struct psb_limits limits; /* what the text states; members it leaves open are 0 */
	unsigned int stated;      /* bits by enum policy_part: the text itself says so */
	enum import_mode import_mode;
	char *import_list; /* owned; comma-separated dotted names */
	struct policy_files files;
	struct policy_environment environment;
	bool fresh_worker;  /* every execution in a worker that has run no other */
	bool share_image;   /* workers may share the read-only pages of an image */
	struct floor floor; /* level 0: the standard one; complete after policy_open() */
	struct policy_site site;
	char sha256[65]; /* of the canonical text */
};

/* From options to what is in force: reads the policy, applies the site policies and the options'
 * floor and limits. *limits is complete. PSB_E_POLICY names the path, the value and the remedy;
 * PSB_E_MEMORY, PSB_E_SYSTEM. */
int policy_open(const struct psb_options *options, struct policy *policy, struct psb_limits *limits,
		struct psb_error *err);
/* The same with another place for the machine's site policy. */
int policy_open_with(const struct psb_options *options, const char *site_path,
		     struct policy *policy, struct psb_limits *limits, struct psb_error *err);

/* text: NULL or a template's name or JSON text. policy_free() takes a zeroed struct too. */
int policy_read(const char *text, struct policy *out, struct psb_error *err);
void policy_free(struct policy *policy);

/* The JSON text of template `index`, and its name; NULL past the end. */
const char *policy_template(size_t index, const char **name);

/* policy_members.c: one member that both policies and sites have (policy.network and so on: their
 * names in POLICY_SHARED_MEMBERS); PSB_E_POLICY for other keys. */
#define POLICY_SHARED_MEMBERS                                                                      \
	"limits, imports, files, environment, network, fresh_worker, share_image"
int policy_member(struct policy *policy, struct json_value key, struct json_value value,
		  const char *path, const char *known, struct psb_error *err);
int policy_read_limit(struct psb_limits *limits, unsigned int *stated, struct json_value key,
		      struct json_value value, struct psb_error *err);
/* policy_rules.c */
int policy_read_files(struct policy *policy, struct json_value value, struct psb_error *err);
int policy_read_environment(struct policy *policy, struct json_value value, struct psb_error *err);
/* What no single member can see: rules that contradict each other. */
int policy_check_whole(const struct policy *policy, struct psb_error *err);

/* policy_text.c */
int policy_wrong_type(const char *path, struct json_value value, const char *wanted,
		      struct psb_error *err);
int policy_unknown_key(const char *path, struct json_value key, const char *known,
		       struct psb_error *err);
/* A string of 1 to size - 1 bytes without control characters. */
int policy_read_text(const char *path, struct json_value value, char *out, size_t size,
		     struct psb_error *err);
/* Checks that it is one JSON object; `what` is the word for it in messages. */
int policy_check_json(const char *what, const uint8_t *text, size_t len, struct psb_error *err);
int name_list_add(struct name_list *list, const char *item); /* 0 or PSB_E_MEMORY */
void name_list_free(struct name_list *list);

/* policy_write.c: the canonical object. With `limits` those, complete, in place of the stated. */
void policy_write(struct json_writer *writer, const struct policy *policy,
		  const struct psb_limits *limits);
int policy_digest(struct policy *policy, struct psb_error *err);

/* policy_call.c: the rules for one call. PSB_E_POLICY says which rule and whose. */
int policy_check_call(const struct policy *policy, const struct psb_request *request,
		      struct psb_error *err);
int policy_check_inputs(const struct policy *policy, uint64_t input_bytes, struct psb_error *err);
/* A wish for another value of a locked limit is PSB_E_POLICY. */
int policy_check_locked(const struct policy *policy, const struct psb_limits *values,
			const struct psb_limits *wanted, struct psb_error *err);
int policy_tighten(const struct policy *policy, const struct psb_limits *wide,
		   const struct psb_limits *wanted, struct psb_limits *out, struct psb_error *err);
/* "NAME=VALUE" entries of the run's environment: the policy's, then the request's. */
void policy_write_env(struct json_writer *writer, const struct policy *policy,
		      const char *const *env);
/* The note of the site that lowered this limit, if the run was held to it; else NULL. */
const char *policy_limit_note(const struct policy *policy, size_t limit_index,
			      const struct psb_limits *limits);

#endif
