/*
 * The two control protocols around the keeper. Both run over SOCK_SEQPACKET pairs: one message is
 * one datagram of exactly one struct, so there is nothing to parse and nothing to resynchronise.
 *
 *   host library <-> keeper   trusted both ways (same program, same user)
 *   keeper <-> zygote side    the keeper trusts no byte of it: a message only ever names a slot
 *                             that the keeper is spawning, and the sender's pid comes from the
 *                             kernel (SO_PASSCRED), checked to be a child of the keeper's own
 *
 * No user data travels here: requests and output go host <-> instance over pipes.
 */
#ifndef PSB_KEEPER_CONTROL_H
#define PSB_KEEPER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/evidence.h"

#define KEEPER_VERSION 4u
#define KEEPER_MAX_SLOTS 64u
#define KEEPER_TEXT_BYTES 400u
#define HOST_FDS 5u
#define READY_FDS 5u

/* The caps an instance is prepared with, or tightened to. */
struct slot_limits {
	uint64_t wall_ms;
	uint64_t cpu_ms;
	uint64_t memory_bytes;
	uint64_t workspace_bytes;
	uint64_t workspace_files;
	uint64_t open_files;
	uint64_t processes;
};

#define WORKSPACE_CHECK_US UINT64_C(100000)

/* When a run is looked at first: its wall limit, when it could have used up a good part of its CPU
 * time, or when its workspace is due for a count (rungs C and D). The host sets the slot's start
 * timer to it before the request's first byte. */
static inline uint64_t slot_first_look_us(const struct slot_limits *limits, bool counted)
{
	uint64_t cpu_us = limits->cpu_ms * 1000 / 16;
	uint64_t look_us = limits->wall_ms * 1000;

	if (cpu_us < look_us && cpu_us > 0)
		look_us = cpu_us;
	return counted && WORKSPACE_CHECK_US < look_us ? WORKSPACE_CHECK_US : look_us;
}

/* First message to the keeper. */
struct keeper_config {
	uint32_t version;
	uint32_t rung; /* enum jail_rung */
	uint32_t slots;
	uint32_t single_use;
	struct slot_limits limits;
	char python[512];
	char python_prefix[512]; /* of the base installation: holds lib/pythonX.Y */
	char venv[512];          /* "" or the venv's directory */
	char python_version[16];
	char libexec[512];
	char preload[1024];
	char imports[4608];     /* JSON, as requests bring it: installed ahead; "": not known */
	char spare_env[2][128]; /* "NAME=value" passed on to the interpreter, or "" */
};

enum host_message_type {
	HOST_PREPARE = 1,
	HOST_ARM,
	HOST_STOP,
	HOST_FINISH,
	HOST_WORKSPACE,
	HOST_RELEASE
};

/* Host -> keeper. HOST_FINISH is the stop of a run whose end frame has come, where the host does not
 * end it by itself: its evidence is due at once, the dead guest's memory is freed afterwards. HOST_PREPARE carries five descriptors:
 * request, stdout, stderr, result and the slot's start timer (starts.c). */
struct host_message {
	uint32_t type;
	uint32_t slot;
	uint32_t generation; /* of HOST_PREPARE: echoed in all answers about this instance */
	int32_t processor;   /* of HOST_PREPARE: where it will be started from, or -1 */
	uint32_t release;    /* of HOST_FINISH: 1 if this is the HOST_RELEASE as well */
	uint64_t start_us;   /* of HOST_STOP and HOST_FINISH: CLOCK_MONOTONIC before the request's
			    * first byte */
	struct slot_limits limits; /* of HOST_ARM */
};

enum keeper_message_type {
	KEEPER_READY = 1,
	KEEPER_ARMED,
	KEEPER_ENDED,
	KEEPER_WORKSPACE,
	KEEPER_SLOT_FAILED,
	KEEPER_TEMPLATE_FAILED
};

/* What a slot's counters stood at when its instance became ready. */
struct counter_bases {
	uint64_t cpu_us;
	uint64_t memory_bytes;
	uint64_t refused; /* processes and threads */
	uint32_t unified; /* control groups v2 */
	uint32_t reserved;
};

/* Keeper -> host. KEEPER_WORKSPACE carries one descriptor, or none when there is no workspace.
 * KEEPER_READY carries what the host needs to end a finished run by itself, or nothing when that is
 * the keeper's alone: pidfds of the guest and of its init and, with a slot's first instance, the
 * slot's counters of CPU time, of peak memory and of refused processes (counters.h). */
struct keeper_message {
	uint32_t type;
	uint32_t slot;
	uint32_t generation;
	uint32_t reserved;
	struct counter_bases bases;   /* of KEEPER_READY */
	struct evidence evidence;     /* of KEEPER_ENDED */
	char text[KEEPER_TEXT_BYTES]; /* of the two failures */
};

#define SPAWN_PIPES 4u
#define SPAWN_GROUPS 3u
#define HOT_SPANS_MAX 1024u

/* The pages that a request touches, learnt from a scout (scout.c): what an instance may touch ahead
 * of its request. */
struct hot_span {
	uint64_t address;
	uint32_t pages;
	uint32_t advice; /* MADV_POPULATE_READ or MADV_POPULATE_WRITE */
};

struct hot_set {
	uint32_t count;
	uint32_t reserved;
	struct hot_span spans[HOT_SPANS_MAX];
};

enum spawn_kind {
	SPAWN_INSTANCE = 0,
	SPAWN_SCOUT,  /* an instance that reports when its request is done, and then waits */
	SPAWN_HOT_SET /* no instance: one descriptor, a file that holds a struct hot_set */
};

/* Keeper -> zygote, with the slot's four pipe ends and, if `groups`, its three v1 control groups,
 * which the guest enters by writing "0". */
struct spawn_message {
	uint32_t slot;
	uint32_t generation; /* echoed by INIT */
	uint32_t kind;       /* enum spawn_kind */
	uint32_t uid;        /* inside the namespace; 0: keep */
	uint32_t rung;
	uint32_t allow_fork;
	uint32_t in_place; /* single use: the zygote itself becomes the guest */
	uint32_t groups;
	uint64_t workspace_bytes;
	uint64_t workspace_files;
	uint64_t open_files;
	uint64_t processes;
	char workspace[64]; /* rungs C and D: the slot's directory */
};

enum spawn_reply_type {
	SPAWN_INIT = 1,
	SPAWN_HELLO,
	SPAWN_READY,
	SPAWN_FAILED,
	SPAWN_LISTENER,
	SPAWN_SCOUTED
};

/* Zygote side -> keeper: INIT from the pid namespace's init, HELLO (with the workspace's
 * descriptor) and READY from the guest before it runs foreign code, FAILED from any of them,
 * LISTENER (with the descriptor) from the zygote before it is exec'd, SCOUTED from a scout. */
struct spawn_reply {
	uint32_t type;
	uint32_t slot;
	uint32_t generation; /* of INIT */
	int32_t sys_errno;
	char text[56];
};

#endif
