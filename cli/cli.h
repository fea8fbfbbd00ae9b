/* What the commands share. Nothing here is part of the library. */
#ifndef PSB_CLI_H
#define PSB_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pysandbox.h"

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2

/* One command; main.c holds the table. `run` gets the arguments after the command's name. */
struct cli_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int cmd_run(int argc, char **argv);
int cmd_engines(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* options.c: tables of options, parsed into fields of a struct. */
enum option_kind {
	OPTION_FLAG,    /* bool */
	OPTION_TEXT,    /* const char * */
	OPTION_SIZE,    /* uint64_t, bytes: 64k, 256M, 1G */
	OPTION_SECONDS, /* uint64_t, milliseconds; fractions of a second are welcome */
	OPTION_COUNT,   /* uint64_t, 1 or more */
	OPTION_LIST,    /* struct text_list */
};

struct text_list {
	const char **items; /* NULL-terminated once an item is there */
	size_t count;
};

struct cli_option {
	const char *name;     /* "--timeout", "-c" */
	const char *argument; /* what the help calls the value; NULL for a flag */
	const char *help;     /* NULL: accepted, but not shown */
	enum option_kind kind;
	size_t offset; /* of the field */
};

struct cli_syntax {
	const char *usage; /* "run [options] FILE.py | -c CODE | -" */
	const char *about; /* one paragraph */
	const struct cli_option *options;
	size_t option_count;
	size_t word_offset; /* of a const char * for the one word that is no option */
	bool takes_word;
	bool takes_words; /* any number: word_offset is that of a struct text_list */
};

/* 0; CLI_USAGE after a message; PARSE_HELP after the help was printed. */
#define PARSE_HELP (-1)
int cli_parse(const struct cli_syntax *syntax, int argc, char **argv, void *target);
void text_list_free(struct text_list *list);

/* numbers.c: 0 or -1. */
int parse_size(const char *text, uint64_t *out);
int parse_milliseconds(const char *text, uint64_t *out);
int parse_count(const char *text, uint64_t *out);

/* output.c: plain writes; no stdio on the way of a run. */
int write_all(int fd, const void *data, size_t len); /* 0 or -errno */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int call_failed(const struct psb_error *err); /* says why; the command's exit code */
void print_json_text(const char *text);       /* quoted and escaped, on stdio's stdout */

/* input.c: whole files, bounded. */
struct text {
	char *data; /* owned; a NUL follows the last byte */
	size_t len;
};
void text_free(struct text *text);
int read_file(const char *path, size_t max, struct text *out); /* 0 or CLI_USAGE; "-" is stdin */

/* policy_file.c: --policy NAME|FILE into options->policy; `text` owns what was read. 0, CLI_USAGE. */
int read_policy(const char *option, struct text *text, struct psb_options *options);

/* --input: what `option` names (JSON, @FILE or NULL); `text` owns what was read from a file. */
int read_input(const char *option, struct text *text, struct psb_request *request);

/* cancel.c */
void cancel_on_signals(psb_sandbox *sandbox);
void cancel_forget(void);
bool cancel_seen(void); /* a signal has come since the start */

/* progress.c: what the library makes before a first run can begin, shown on standard error: one line
 * that is written over on a terminal; elsewhere one plain line, once it takes over a second. */
#define PROGRESS_WAIT_MS 900000u /* psb_warm()'s, where that may include making an image */
void progress_watch(struct psb_options *options);
void progress_show(void *context, const char *text); /* the callback */
void progress_end(void); /* before anything else is written; complain() does it */

/* clock.c */
uint64_t now_us(void);

#endif
