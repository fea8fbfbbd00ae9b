/*
 * The protocols of the microVM engine. Three parties: the library (in the host application), the
 * supervisor (one process per sandbox handle) and workers (one process per virtual machine).
 *
 *   library <-> supervisor  SOCK_SEQPACKET, one struct per message; trusted both ways
 *   library  -> worker      a pipe: struct vm_command, after VM_START the request's bytes
 *   worker   -> library     a pipe: struct vm_event, then its bytes. A worker holds guest memory:
 *                           the library checks every length (events.c) and believes no more of
 *                           it than what it may say about its own execution
 */
#ifndef PSB_MICROVM_PROTOCOL_H
#define PSB_MICROVM_PROTOCOL_H

#include <stdint.h>

#define MICROVM_VERSION 1u
#define MICROVM_MAX_SLOTS 64u
#define MICROVM_TEXT_BYTES 400u
#define MICROVM_PATH_BYTES 512u
#define MICROVM_PIPES 2u
#define MICROVM_PIPE_BYTES (1u << 20)

struct vm_limits {
	uint64_t wall_ms;
	uint64_t cpu_ms;
	uint64_t memory_bytes;
	uint64_t workspace_bytes;
	uint64_t workspace_files;
	uint64_t open_files;
	uint64_t threads;
};

enum vmm_action {
	VMM_SERVE = 0, /* build the image if it is missing, then serve */
	VMM_BUILD,     /* build the image if it is missing, then end */
	VMM_REBUILD,   /* build it anew */
	VMM_LIST,      /* tell of every image in the store */
	VMM_VERIFY,    /* ... and read all of it */
	VMM_PRUNE,     /* remove images that are of no use any more */
};

/* First message to the supervisor. */
struct vmm_config {
	uint32_t version;
	uint32_t slots;
	uint32_t single_use;
	uint32_t namespaces;     /* cut the workers off by namespaces */
	uint32_t action;         /* enum vmm_action */
	uint32_t fresh_worker;   /* a worker serves one execution and has run no other */
	uint32_t unshared_image; /* a worker has copies of snapshot and image for itself */
	uint32_t control_groups; /* a group with a memory and a pids wall for each worker */
	struct vm_limits limits;
	char python[MICROVM_PATH_BYTES];
	char python_prefix[MICROVM_PATH_BYTES];
	char venv[MICROVM_PATH_BYTES];
	char python_version[16];
	char libexec[MICROVM_PATH_BYTES];
	char cache[MICROVM_PATH_BYTES]; /* directory of the images */
	char preload[1024];
};

enum vmm_request_type { VMM_PREPARE = 1, VMM_KILL, VMM_INTERRUPT, VMM_DIRECTORY };

/* Library -> supervisor. VMM_PREPARE carries the worker's ends of two pipes: commands, events.
 * VMM_INTERRUPT ends one execution, if it is still that. VMM_DIRECTORY asks for the root of
 * the file system for guests' files on their way out. */
struct vmm_request {
	uint32_t type;
	uint32_t slot;
	uint32_t generation;
	uint32_t execution; /* of VMM_INTERRUPT */
};

enum vmm_reply_type {
	VMM_GONE = 1,
	VMM_FAILED,
	VMM_PROGRESS,
	VMM_DONE,
	VMM_DIRECTORY_IS,
	VMM_STARTED
};

/* Supervisor -> library. VMM_DIRECTORY_IS carries a descriptor, or none; VMM_STARTED a pidfd of a
 * worker that is to serve more than once. */
struct vmm_reply {
	uint32_t type;
	uint32_t slot;
	uint32_t generation;
	int32_t signal_number; /* VMM_GONE: what ended the worker, 0 if it ended itself */
	uint32_t oom_killed;   /* VMM_GONE: the worker met its control group's memory wall */
	uint32_t reserved;
	uint64_t cpu_us; /* VMM_GONE: of the worker's whole life */
	char text[MICROVM_TEXT_BYTES];
};

#define VM_COMMAND_MAGIC 0x43425350u

enum vm_command_type { VM_START = 1, VM_RESET, VM_COLLECT };

struct vm_command {
	uint32_t magic;
	uint32_t type;
	uint32_t execution; /* counts the worker's executions */
	uint32_t reserved;
	uint64_t start_us; /* CLOCK_MONOTONIC of the request's first byte */
	uint64_t request_bytes;
	struct vm_limits limits;
};

enum vm_event_type {
	VM_READY = 1, /* u64: microseconds of CPU used so far */
	VM_STDOUT,
	VM_STDERR,
	VM_RESULT,
	VM_ENDED,     /* struct vm_ended */
	VM_FILES,     /* a piece of struct file_record, name, data (guest/kernel/abi.h) */
	VM_FILES_END, /* u32: 0 when all files came */
	VM_BROKEN,    /* text: why this worker cannot be used */
};

enum vm_ended_flag {
	VM_EXITED = 1,
	VM_SIGNALLED = 2,
	VM_WALL_FIRED = 4,
	VM_CPU_FIRED = 8,
	VM_LOST = 16,
	VM_MEMORY_HIT = 32,
	VM_THREADS_HIT = 64,
};

/* What becomes struct evidence: no type here has values that are not allowed. */
struct vm_ended {
	uint32_t flags;
	int32_t exit_code;
	int32_t signal_number;
	uint32_t unknown_calls; /* system calls that the guest kernel does not know */
	uint64_t wall_us;
	uint64_t cpu_us;
	uint64_t memory_peak_bytes;
	uint64_t address; /* of a crash */
};

#define VM_EVENT_MAX_BYTES (1u << 18)

struct vm_event {
	uint32_t type;
	uint32_t bytes; /* that follow; at most VM_EVENT_MAX_BYTES */
};

#endif
