/*
 * pysandbox: run untrusted Python and get exactly one outcome back.
 *
 * Conventions, for every function here unless it says otherwise:
 *  - 0 on success, a negative PSB_E_* on failure; outputs are untouched on failure.
 *  - `err` may be NULL; it belongs to the caller and is filled on failure only.
 *  - const char * arguments are NUL-terminated UTF-8; NULL means "default" where the text says so.
 *  - Option structs begin with `size`; fill them with the matching psb_*_init(), which zeroes the
 *    rest. A zero field means the default. Unknown non-zero tail bytes are refused (PSB_E_INVALID).
 *  - A sandbox may be used by one thread at a time; different sandboxes are independent.
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
	X(BUSY, 9, "the sandbox is in use")                                                        \
	X(FORKED, 10, "the sandbox was opened before a fork, in another process")

enum psb_error_code {
#define PSB_ERROR_ENUM(name, number, text) PSB_E_##name = -(number),
	PSB_ERROR_MAP(PSB_ERROR_ENUM)
#undef PSB_ERROR_ENUM
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

/* How to open a sandbox. All pointers are borrowed for the call only. */
struct psb_options {
	size_t size;
	const char *engine;  /* "auto" [default], "native"; psb_engine_at() lists them */
	const char *policy;  /* template name or policy JSON text (begins with '{'); ["default"] */
	const char *require; /* the floor: "1".."10" or a control's name; [the policy's] */
	const char *python;  /* path of the interpreter; ["/usr/bin/python3"] */
	const char *preload; /* comma-separated modules imported before any request; [""] */
	const char *tenant;  /* a label; one sandbox serves one tenant; ["default"] */
	const char *libexec; /* where the keeper and guest parts are; [found by the library] */
	const char *rung;    /* tests only: use this rung ("A".."D") or nothing; [the best] */
	struct psb_limits limits; /* the widest any call may ask for; limits.size 0 = defaults */
	uint32_t pool_size;       /* instances kept ready; [2 per core]; 1..64 */
	uint32_t single_use;      /* 1: exactly one execution will follow (the cold path) */
};

PSB_API void psb_options_init(struct psb_options *options);

typedef struct psb_sandbox psb_sandbox;
typedef struct psb_outcome psb_outcome;

/*
 * Opens a sandbox. Starts the engine but does not wait for the first ready instance. A host that
 * can offer no engine at or above the floor is not an error here: psb_execute() then gives an
 * outcome of status PSB_UNAVAILABLE that says why.
 * Errors: PSB_E_INVALID, PSB_E_POLICY, PSB_E_NOT_FOUND, PSB_E_MEMORY, PSB_E_SYSTEM.
 * Any thread; psb_close() frees it (NULL is fine) and kills whatever runs.
 */
PSB_API int psb_open(const struct psb_options *options, psb_sandbox **out, struct psb_error *err);
PSB_API void psb_close(psb_sandbox *sandbox);

/* Waits until an instance is ready (at most timeout_ms). 0, PSB_E_ENGINE or PSB_E_BUSY. */
PSB_API int psb_warm(psb_sandbox *sandbox, uint32_t instances, uint64_t timeout_ms,
		     struct psb_error *err);

struct psb_file {
	const char *guest_name; /* relative, beneath the workspace: no "..", no leading '/' */
	const char *host_path;  /* opened once, no symlink followed, regular files only; or NULL */
	const void *data;       /* used when host_path is NULL */
	size_t data_len;
};

enum psb_stream { PSB_STDOUT = 1, PSB_STDERR = 2 };

/* Called with output as it comes, from within psb_execute(), in the order of each stream. `data`
 * is cut at UTF-8 boundaries, invalid bytes replaced; it is the callback's for the call only. */
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
 * PSB_E_INVALID, PSB_E_POLICY, PSB_E_TOO_LARGE, PSB_E_NOT_FOUND, PSB_E_FORKED, PSB_E_BUSY,
 * PSB_E_MEMORY, PSB_E_SYSTEM.
 */
PSB_API int psb_execute(psb_sandbox *sandbox, const struct psb_request *request, psb_outcome **out,
			struct psb_error *err);

/* Ends the run in progress with status cancelled. Idempotent; any thread; async-signal-safe. */
PSB_API void psb_cancel_current(psb_sandbox *sandbox);

/* Accessors. Returned memory lives as long as the outcome. `len` may be NULL. */
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

#ifdef __cplusplus
}
#endif
#endif
