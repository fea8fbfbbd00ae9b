/* The table of attacks. Their programs are in cli/attacks; each says more about itself. */
#include "doctor_attack.h"

const struct attack doctor_attacks[ATTACK_COUNT] = {
	{"files_read", "read files outside", "filesystem", attack_files_read, NULL, 1},
	{"files_write", "write files outside", "filesystem", attack_files_write, NULL, 1},
	{"network", "call listeners: TCP, UDP, Unix", "network", attack_network, NULL, 1},
	{"signals", "signal a victim and everybody", "signals", attack_signals, NULL, 1},
	{"trace", "trace a victim, read its memory", "host_memory", attack_trace, NULL, 1},
	{"mounts", "mount and unmount", "privileges", attack_mounts, NULL, 1},
	{"namespaces", "make and enter namespaces", "syscalls", attack_namespaces, NULL, 1},
	{"calls", "forbidden calls by number", "syscalls", attack_calls, NULL, 1},
	{"doors", "32-bit, x32 and privileged code", "syscalls", attack_doors, NULL, 1},
	{"programs", "start other programs", "syscalls", attack_programs, NULL, 1},
	{"leaks", "find the caller's secrets", "host_memory", attack_leaks, NULL, 1},
	/* Twice: each of the two instances that are ready may be the one that remembers. */
	{"residue", "read another execution's data", "state_reset", attack_residue, attack_plant,
	 2},
};
