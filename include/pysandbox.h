/*
 * pysandbox: run untrusted Python and get exactly one outcome back.
 *
 * Conventions, for every function here unless it says otherwise:
 *  - 0 on success, a negative PSB_E_* on failure; outputs are untouched on failure.
 *  - `err` may be NULL; it belongs to the caller and is filled on failure only.
 *  - const char * arguments are NUL-terminated UTF-8; NULL means "default" where the text says so.
 *  - Option structs begin with `size`; fill them with the matching psb_*_init(), which zeroes the
 *    rest. A zero field means the default. Unknown non-zero tail bytes are refused (PSB_E_INVALID).
 *  - Any thread may call, also on one sandbox at once, except psb_close(): it comes last.
 *  - A sandbox belongs to the process that opened it. After a fork() every call of the child is
 *    PSB_E_FORKED, and its psb_close() frees the child's copy without touching the parent's.
 *  - The library never prints, exits, installs signal handlers, raises SIGPIPE or changes the
 *    process's working directory, umask or environment. Every descriptor is close-on-exec.
 */
#ifndef PYSANDBOX_H
#define PYSANDBOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PSB_API __attribute__((visibility("default")))
#else
#define PSB_API
#endif

#define PSB_VERSION_MAJOR 0
#define PSB_VERSION_MINOR 1
#define PSB_VERSION_PATCH 0

/* One list makes the enum, psb_error_name() and psb_error_text(). */
#define PSB_ERROR_MAP(X)                                                                           \
	X(INVALID, 1, "invalid argument")                                                          \
	X(MEMORY, 2, "out of memory")                                                              \
	X(SYSTEM, 3, "a system call failed")                                                       \
	X(POLICY, 4, "the policy is not valid")                                                    \
	X(TOO_LARGE, 5, "an input is over its limit")                                              \
	X(NOT_FOUND, 6, "a named file, engine or interpreter was not found")                       \
	X(UNSUPPORTED, 7, "this host cannot do what was asked")                                    \
	X(ENGINE, 8, "the engine failed before any code ran")                                      \
	X(BUSY, 9, "there is no room, or not in time")                                             \
	X(FORKED, 10, "the sandbox was opened before a fork, in another process")                  \
	X(AUDIT, 11, "the audit log cannot be kept")

enum psb_error_code {
#define PSB_ERROR_ENUM(name, number, text) PSB_E_##name = -(number),
	PSB_ERROR_MAP(PSB_ERROR_ENUM)
#undef PSB_ERROR_ENUM
		PSB_E_COUNT = 12 /* one more than the highest number */
};

/* Filled on failure: which code, the errno behind it (0 if none) and one line that names the
 * thing, the value, the limit and the remedy. */
struct psb_error {
	int32_t code;
	int32_t sys_errno;
	char message[504];
};

PSB_API const char *psb_error_name(int code); /* "PSB_E_POLICY"; static; any thread */
PSB_API const char *psb_error_text(int code); /* one line; static; any thread */
PSB_API const char *psb_version(void);        /* "0.1.0"; static; any thread */

/* How a run ended (docs/outcome.md). */
enum psb_status {
	PSB_OK = 0,
	PSB_ERROR,
	PSB_EXIT,
	PSB_TIMEOUT,
	PSB_CPU_LIMIT,
	PSB_MEMORY_LIMIT,
	PSB_OUTPUT_LIMIT,
	PSB_RESULT_LIMIT,
	PSB_PROCESS_LIMIT,
	PSB_DISK_LIMIT,
	PSB_DENIED,
	PSB_CRASH,
	PSB_CANCELLED,
	PSB_UNKNOWN,
	PSB_UNAVAILABLE,
	PSB_STATUS_COUNT
};

PSB_API const char *psb_status_name(int status); /* "memory_limit"; NULL if not a status */
PSB_API int psb_status_exit_code(int status, int guest_exit_code); /* the command's exit code */

enum psb_on_output_limit { PSB_OUTPUT_KILL = 0, PSB_OUTPUT_TRUNCATE = 1 };

/* Limits of one execution. 0 = the default in brackets. Per-call limits only tighten those the
 * sandbox was opened with; a wider one is PSB_E_POLICY. */
struct psb_limits {
	size_t size;
	uint64_t wall_ms;         /* [30000] from the request's first byte to the guest's end */
	uint64_t cpu_ms;          /* [= wall_ms] of all guest threads and processes; grain 10 ms */
	uint64_t memory_bytes;    /* [256 MiB] what the run adds to the ready instance; >= 16 MiB */
	uint64_t stdout_bytes;    /* [1 MiB] */
	uint64_t stderr_bytes;    /* [1 MiB] */
	uint64_t result_bytes;    /* [16 MiB] encoded JSON */
	uint64_t workspace_bytes; /* [64 MiB] */
	uint64_t workspace_files; /* [1024] */
	uint64_t open_files;      /* [128]; 16..200 */
	uint64_t processes;       /* [64] processes and threads; 1..1024 */
	uint32_t on_output_limit; /* enum psb_on_output_limit */
	uint32_t reserved;
};

PSB_API void psb_limits_init(struct psb_limits *limits);

/* When a record of the audit log is on the disk before the call goes on. Without it a record
 * survives the end of the process, but not that of the machine. */
enum psb_audit_sync {
	PSB_AUDIT_SYNC_NONE = 0,
	PSB_AUDIT_SYNC_ACCEPTED = 1, /* before a run begins */
	PSB_AUDIT_SYNC_ALL = 2
};

/* The audit log (docs/audit.md): a chain of JSON lines, which several sandboxes and processes may
 * share. Pointers are borrowed for psb_open() only. */
struct psb_audit {
	size_t size;
	const char *file;      /* made with mode 0600 when it is not there */
	const char *key_file;  /* 16..4096 bytes, for nobody else to read; NULL: a plain chain */
	uint64_t rotate_bytes; /* put the file aside once it is this large, >= 16 KiB; [0: never] */
	uint32_t sync;         /* enum psb_audit_sync */
	uint32_t keep_code;    /* 1: the program's text too, up to 16 KiB; else its hash only */
	uint32_t optional;     /* 1: run even when the log cannot be written; else PSB_E_AUDIT */
	uint32_t reserved;
};

PSB_API void psb_audit_init(struct psb_audit *audit);

enum psb_log_level {
	PSB_LOG_ERROR = 1, /* something the operator must see to */
	PSB_LOG_WARNING,   /* it goes on, but not as asked for */
	PSB_LOG_INFO,      /* engines opened, dropped, instances that failed */
	PSB_LOG_DEBUG      /* every run */
};

/* Called from within calls of this library only, on the caller's thread, with no lock held; from
 * several threads at once if several are in calls. `message` is one line of valid UTF-8, and the
 * callback's for the call. It must not call back into the same sandbox. */
typedef void (*psb_log_fn)(void *context, int level, const char *message);

/* Called with one line of text for each step of something that takes long. The text is the callback's
 * for the call only. */
typedef void (*psb_progress_fn)(void *context, const char *text);

/* How to open a sandbox. All pointers are borrowed for the call only. */
struct psb_options {
	size_t size;
	const char *engine;  /* "auto" [default], "microvm", "native"; psb_engine_at() lists them */
	const char *policy;  /* template name or policy JSON text (begins with '{'); ["default"] */
	const char *require; /* the floor: "1".."10", controls' names, or both with commas; it adds
			      * to a floor that the policy states; ["5"] */
	const char *python;  /* path of the interpreter; ["/usr/bin/python3"] */
	const char *preload; /* comma-separated modules imported before any request; [""] */
	const char *tenant;  /* a label; one sandbox serves one tenant; ["default"] */
	const char *libexec; /* where the keeper and guest parts are; [found by the library] */
	const char *rung;    /* tests only: use this rung ("A".."D") or nothing; [the best] */
	struct psb_limits limits; /* the widest any call may ask for; limits.size 0 = defaults */
	uint32_t pool_size;    /* instances kept ready, and the most at work; [2 per core]; 1..64 */
	uint32_t single_use;   /* 1: exactly one execution will follow (the cold path) */
	uint32_t queue_length; /* most jobs of psb_submit() that wait, for an instance or for
				* psb_next(); [1024]; 1..1000000 */
	uint32_t reserved;
	uint64_t queue_timeout_ms; /* most that a run waits for its turn; [as long as it takes] */
	const char *site_policy;   /* a site policy's path, to bind beside the machine's; [none] */
	const struct psb_audit *audit; /* NULL: no audit log */
	psb_log_fn log;                /* NULL: nothing is said */
	void *log_context;             /* borrowed for the sandbox's life */
	uint32_t log_level;            /* the least important enum psb_log_level; [PSB_LOG_INFO] */
	uint32_t reserved_log;
	/* The steps of what must be made before the first run can begin (an image of the microVM
	 * engine), called as `log` is; the log has them too. [NULL] */
	psb_progress_fn progress;
	void *progress_context; /* borrowed for the sandbox's life */
};

PSB_API void psb_options_init(struct psb_options *options);

typedef struct psb_sandbox psb_sandbox;
typedef struct psb_outcome psb_outcome;

/*
 * Opens a sandbox. Starts the engine but does not wait for the first ready instance. A host that
 * can offer no engine at or above the floor is not an error here: psb_execute() then gives an
 * outcome of status PSB_UNAVAILABLE that says why.
 * Errors: PSB_E_INVALID, PSB_E_POLICY, PSB_E_NOT_FOUND, PSB_E_MEMORY, PSB_E_SYSTEM.
 * psb_close() frees it (NULL is fine), kills whatever runs and drops outcomes that
 * were not fetched; no other call may be in progress.
 */
PSB_API int psb_open(const struct psb_options *options, psb_sandbox **out, struct psb_error *err);
PSB_API void psb_close(psb_sandbox *sandbox);

/* Waits until so many instances are ready (at most timeout_ms). 0, PSB_E_ENGINE or PSB_E_BUSY. */
PSB_API int psb_warm(psb_sandbox *sandbox, uint32_t instances, uint64_t timeout_ms,
		     struct psb_error *err);

struct psb_file {
	const char *guest_name; /* relative, beneath the workspace: no "..", no leading '/' */
	const char *host_path;  /* opened once, no symlink followed, regular files only; or NULL */
	const void *data;       /* used when host_path is NULL */
	size_t data_len;
};

enum psb_stream { PSB_STDOUT = 1, PSB_STDERR = 2 };

/* Called with output as it comes, in the order of each stream: from within psb_execute(), or for a
 * job of psb_submit() from within psb_next(), in the thread that called it and never after the
 * job's outcome was given out. `data` is cut at UTF-8 boundaries, invalid bytes replaced; it is the
 * callback's for the call only. The callback may call everything but psb_close(). */
typedef void (*psb_output_fn)(void *context, int stream, const char *data, size_t len);

/* One execution. Pointers are borrowed for the call. */
struct psb_request {
	size_t size;
	const char *source; /* need not be NUL-terminated; at most 64 MiB */
	size_t source_len;
	const char *inputs; /* a JSON object whose members become variables, or NULL */
	size_t inputs_len;
	/* Shown in tracebacks; ["main.py"]. If given, and a plain name, the workspace holds the
	 * source under it; collected only if the program changed it. */
	const char *filename;
	const struct psb_file *files;
	size_t file_count;      /* at most 256 */
	const char *const *env; /* "KEY=VALUE" strings, NULL-terminated list, or NULL */
	const char
		*output_dir; /* existing directory that receives the workspace's files, or NULL */
	const char *tag;     /* copied into the outcome, or NULL; at most 256 bytes */
	const struct psb_limits *limits; /* tighter than the sandbox's, or NULL */
	psb_output_fn on_output;
	void *context;
};

PSB_API void psb_request_init(struct psb_request *request);

/*
 * Runs one request and waits for its outcome, which the caller frees with psb_outcome_free().
 * Whatever the guest does is an outcome and returns 0; errors are those of the call:
 * PSB_E_INVALID, PSB_E_POLICY, PSB_E_TOO_LARGE, PSB_E_NOT_FOUND, PSB_E_FORKED, PSB_E_MEMORY,
 * PSB_E_SYSTEM. A run that waits for its turn longer than queue_timeout_ms is PSB_UNAVAILABLE with
 * the error type QueueTimeout. Takes no other job's outcome, but keeps them going.
 */
PSB_API int psb_execute(psb_sandbox *sandbox, const struct psb_request *request, psb_outcome **out,
			struct psb_error *err);

/* Ends every psb_execute() in progress with status cancelled. Idempotent; async-signal-safe. */
PSB_API void psb_cancel_current(psb_sandbox *sandbox);

/*
 * Runs one request in the background: checks and copies it, and returns. *job numbers it: 1, 2, …
 * in this sandbox. Exactly one outcome will come of it through psb_next(), whatever happens, unless
 * the sandbox is closed before. Its limits hold even if the host never calls again.
 * Errors are those of psb_execute(), and PSB_E_BUSY when queue_length jobs wait already: nothing
 * was taken then.
 */
PSB_API int psb_submit(psb_sandbox *sandbox, const struct psb_request *request, uint64_t *job,
		       struct psb_error *err);

/*
 * 1 and an outcome in *out (psb_outcome_job() says whose; psb_outcome_free() frees it), or 0 when
 * none is there yet. Never waits for a guest: it moves bytes, starts what has its turn, calls
 * on_output and puts outcomes together (with an output_dir: copies the files). Call it until it
 * gives 0 whenever psb_fd() is readable. PSB_E_INVALID, PSB_E_FORKED.
 */
PSB_API int psb_next(psb_sandbox *sandbox, psb_outcome **out, struct psb_error *err);

/* A descriptor for poll, epoll and the like: readable, level-triggered, while an outcome waits or
 * the library needs a turn. The sandbox's own: not to be read, written or closed. Negative: an
 * error. */
PSB_API int psb_fd(psb_sandbox *sandbox, struct psb_error *err);

/*
 * Ends a job with status cancelled; its outcome still comes through psb_next(). A job that has
 * ended keeps its own outcome. Idempotent: 0 for every number that psb_submit() gave, also after
 * the outcome was fetched; PSB_E_NOT_FOUND for others.
 */
PSB_API int psb_cancel(psb_sandbox *sandbox, uint64_t job, struct psb_error *err);

/*
 * The counters of `count` sandboxes as Prometheus text (docs/observability.md), NUL-terminated, into
 * `text` of `size` bytes. *needed (may be NULL) is always the size that it takes; PSB_E_TOO_LARGE
 * when there is less. Other errors: PSB_E_INVALID, PSB_E_FORKED, PSB_E_MEMORY. Any thread.
 */
PSB_API int psb_metrics(psb_sandbox *const *sandboxes, size_t count, char *text, size_t size,
			size_t *needed, struct psb_error *err);

/* Accessors. Returned memory lives as long as the outcome. `len` may be NULL. */
PSB_API const char *psb_outcome_id(const psb_outcome *outcome);  /* 32 hexadecimal digits */
PSB_API const char *psb_outcome_tag(const psb_outcome *outcome); /* NULL if none was given */
PSB_API uint64_t psb_outcome_job(const psb_outcome *outcome);    /* 0 of psb_execute() */
PSB_API int psb_outcome_status(const psb_outcome *outcome);
PSB_API const char *psb_outcome_limit(const psb_outcome *outcome); /* NULL if none ended it */
PSB_API const char *psb_outcome_result(const psb_outcome *outcome, size_t *len); /* JSON or NULL */
PSB_API const char *psb_outcome_stdout(const psb_outcome *outcome, size_t *len);
PSB_API const char *psb_outcome_stderr(const psb_outcome *outcome, size_t *len);
PSB_API const char *psb_outcome_error_type(const psb_outcome *outcome);    /* NULL if none */
PSB_API const char *psb_outcome_error_message(const psb_outcome *outcome); /* NULL if none */
PSB_API const char *psb_outcome_traceback(const psb_outcome *outcome);     /* NULL if none */
PSB_API int64_t psb_outcome_error_line(const psb_outcome *outcome);        /* 0 if unknown */
PSB_API int psb_outcome_exit_code(const psb_outcome *outcome); /* of status exit; else 0 */
PSB_API int psb_outcome_signal(const psb_outcome *outcome);    /* of status crash; else 0 */
/* The index-th entry of `files`, by name; *error is NULL for what was stored. PSB_E_NOT_FOUND past the
 * end. Any of the outputs may be NULL. */
PSB_API int psb_outcome_file(const psb_outcome *outcome, size_t index, const char **name,
			     uint64_t *size, const char **error);
PSB_API uint64_t psb_outcome_wall_us(const psb_outcome *outcome);
PSB_API uint64_t psb_outcome_cpu_us(const psb_outcome *outcome);
PSB_API uint64_t psb_outcome_queue_us(const psb_outcome *outcome);
PSB_API uint64_t psb_outcome_memory_peak_bytes(const psb_outcome *outcome);
PSB_API const char *psb_outcome_engine(const psb_outcome *outcome); /* NULL if unavailable */
PSB_API int psb_outcome_level(const psb_outcome *outcome);          /* 0 if unavailable */
PSB_API const char *psb_outcome_json(const psb_outcome *outcome, size_t *len); /* docs/outcome.md */
PSB_API void psb_outcome_free(psb_outcome *outcome);

/*
 * Policies (docs/policy.md). psb_policy_name() gives the templates' names, index from 0; static;
 * NULL past the end; any thread.
 * psb_policy_text() gives the policy that psb_open() would apply for these options, template, site
 * rules and limits worked in, as one JSON object; with_engines != 0 adds what each engine would
 * keep of it here. *out is freed with psb_text_free(). Errors: those of psb_open().
 */
PSB_API const char *psb_policy_name(size_t index);
PSB_API int psb_policy_text(const struct psb_options *options, int with_engines, char **out,
			    struct psb_error *err);
PSB_API void psb_text_free(char *text); /* NULL is fine */
/* What `pysandbox audit verify` does: follows a chain through its files. */
struct psb_audit_check {
	size_t size;
	const char *key_file; /* the key the chain was made with, or NULL */
	const char *head; /* a head noted before, 64 hex digits: it must still be there; or NULL */
	const char *previous; /* the head of the file before the first of these, or NULL */
};

PSB_API void psb_audit_check_init(struct psb_audit_check *check);

struct psb_audit_report {
	size_t size;
	uint64_t faults;   /* 0: the chain is whole, relative to what was given */
	uint64_t records;  /* of all kinds */
	uint64_t accepted; /* executions that were let in */
	uint64_t ended;    /* outcomes, those without an execution included */
	uint64_t refused;  /* calls */
	uint64_t torn;     /* unfinished lines of killed writers, closed off by the next one */
	uint64_t lost;     /* records that writers say they could not write */
	uint64_t open;     /* accepted without an end: running, or their host was killed */
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t after_head; /* records behind the head that was given */
	int32_t keyed;       /* 1: sealed with the key given; 0: no key; -1: a key is missing */
	int32_t continues;   /* 1: the first record continues a file that was not given */
	char previous[65];   /* the head it continues; zeros at the very beginning */
	char head[65];       /* the hash of the last record: note it elsewhere */
};

/* Called for each fault with the file's name, the line (from 1) and what is wrong with it. */
typedef void (*psb_audit_fault_fn)(void *context, const char *file, uint64_t line,
				   const char *message);

/*
 * Verifies `count` files, the oldest first. Files that can be read give 0, whatever is in them: look
 * at out->faults. `check`, `on_fault` and its context may be NULL. Any thread; needs no sandbox.
 * Errors: PSB_E_INVALID, PSB_E_NOT_FOUND, PSB_E_SYSTEM, PSB_E_MEMORY.
 */
PSB_API int psb_audit_verify(const char *const *files, size_t count,
			     const struct psb_audit_check *check, psb_audit_fault_fn on_fault,
			     void *context, struct psb_audit_report *out, struct psb_error *err);

/* One engine of this build on this host. Strings are static or owned by the struct. */
struct psb_engine_info {
	size_t size;
	char name[16];
	int32_t available; /* 1 if it can run here */
	int32_t level;     /* the level it reaches here (design: fixed table), 0 if none */
	char rung[8];      /* native: "A".."D" */
	char missing[504]; /* what the host lacks and the remedy; "" if nothing */
};

/* index from 0; PSB_E_NOT_FOUND past the end. Any thread. */
PSB_API int psb_engine_at(size_t index, struct psb_engine_info *out, struct psb_error *err);
/* The same under these options: `available` is 1 if it may run them (floor, python, preload, files,
 * limits), else `missing` says what is short. Errors: also those of psb_open(). */
PSB_API int psb_engine_fits(const struct psb_options *options, size_t index,
			    struct psb_engine_info *out, struct psb_error *err);

/* The microVM engine's images: an interpreter with its packages, packed, booted and stored in the
 * user's cache directory. They are built on first use; this builds them ahead, or looks at them. */
enum psb_image_action {
	PSB_IMAGE_BUILD = 1, /* unless it is there */
	PSB_IMAGE_REBUILD,
	PSB_IMAGE_LIST,   /* `progress` gets one line for each */
	PSB_IMAGE_VERIFY, /* ... once all of it was read and found whole */
	PSB_IMAGE_PRUNE /* removes those that were not used for a month, and all but the newest for
			   * each interpreter and list of modules; one line for each file */
};

/*
 * `options` names interpreter, preload and libexec; the rest is not used. `progress` may be NULL;
 * it is called from within, with text that is the callback's for the call only. Waits until all is
 * done. PSB_E_INVALID, PSB_E_NOT_FOUND, PSB_E_UNSUPPORTED, PSB_E_ENGINE, PSB_E_MEMORY,
 * PSB_E_SYSTEM. Any thread.
 */
PSB_API int psb_image(const struct psb_options *options, enum psb_image_action action,
		      psb_progress_fn progress, void *context, struct psb_error *err);

#ifdef __cplusplus
}
#endif
#endif
