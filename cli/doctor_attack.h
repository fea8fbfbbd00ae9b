/* The attacks: programs of cli/attacks, embedded at build time by embed.py. */
#ifndef PSB_CLI_DOCTOR_ATTACK_H
#define PSB_CLI_DOCTOR_ATTACK_H

#include <stddef.h>

extern const char attack_prelude[];
extern const char attack_epilogue[];
extern const char attack_files_read[];
extern const char attack_files_write[];
extern const char attack_network[];
extern const char attack_signals[];
extern const char attack_trace[];
extern const char attack_mounts[];
extern const char attack_namespaces[];
extern const char attack_calls[];
extern const char attack_doors[];
extern const char attack_programs[];
extern const char attack_leaks[];
extern const char attack_plant[];
extern const char attack_residue[];
extern const char attack_neighbour[];

struct attack {
	const char *name;    /* in --json */
	const char *title;   /* in the table */
	const char *control; /* the one that should hold it, for the table */
	const char *source;
	const char *before; /* a program that runs first, or NULL */
	size_t times;       /* as many instances are looked at */
};

#define ATTACK_COUNT 12

extern const struct attack doctor_attacks[ATTACK_COUNT];

/* The neighbour's fate is judged with the attack of this index. */
#define ATTACK_SIGNALS 3

#endif
