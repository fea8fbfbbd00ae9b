/* What the parts of `doctor` share: the bait, the victim, the cage, the report. */
#ifndef PSB_CLI_DOCTOR_H
#define PSB_CLI_DOCTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "cli.h"
#include "doctor_attack.h"
#include "doctor_judge.h"

/* doctor_bait.c: what an attack must not read, change or reach. */
enum bait_socket {
	BAIT_TCP,
	BAIT_TCP6,
	BAIT_UDP,
	BAIT_ABSTRACT,
	BAIT_ABSTRACT_DATAGRAM,
	BAIT_PATH,
	BAIT_PATH_DATAGRAM,
	BAIT_SOCKETS
};

#define BAIT_FILES 5
#define BAIT_PLACES 5

#define BAIT_SHARED "-shared"

extern const char *const bait_places[BAIT_PLACES];

struct bait_file {
	char path[128];
	struct stat before;
};

struct bait {
	const struct marks *marks;
	char top[64];   /* mode 0711, removed with all that is in it */
	int hold;       /* its descriptor, locked: it is in use */
	char open[80];  /* in it, mode 0777 */
	char token[40]; /* names what has no directory of its own */
	struct bait_file files[BAIT_FILES];
	int sockets[BAIT_SOCKETS]; /* -1: not to be had here */
	int ports[BAIT_SOCKETS];
};

int bait_place(struct bait *bait, const struct marks *marks); /* 0 or -errno */
void bait_remove(struct bait *bait);                          /* doctor_bait_remove.c */
void bait_remove_stale(void); /* what killed doctors of ours have left */
/* doctor_bait_check.c: judges what happened to it. True if anything did: then it must be placed anew. */
bool bait_check(const struct bait *bait, struct judge *judge);

/* doctor_victim.c: a process of ours that an attack must not reach. */
struct victim {
	pid_t pid;
	int lifeline; /* its end closes with ours */
	const char *secret;
};

int victim_start(struct victim *victim, const char *secret); /* 0 or -errno */
void victim_end(struct victim *victim);
bool victim_check(struct victim *victim, struct judge *judge); /* as bait_check() */

/* doctor_cage.c: one engine on one rung; or, for the doctor's own test, no cage at all. */
struct cage {
	char engine[16];
	char rung[8]; /* "": the engine has none */
	int level;
	bool uncaged;
	uint32_t pool_size;
	uint32_t wall_ms; /* of one execution */
	psb_sandbox *sandbox;
	struct claims claims;
	char reason[504]; /* why it cannot be had */
};

/* 0, or with a reason: there is no such cage here, or there is one that does not work. */
#define CAGE_NONE (-1)
#define CAGE_SICK (-2)
int cage_open(struct cage *cage);
void cage_close(struct cage *cage);
/* 0; CLI_FAILED after a message; 130 when cancelled. */
int cage_execute(struct cage *cage, const char *source, const char *inputs, const char *directory,
		 struct run_end *end);
int claims_read(const char *json, size_t len, struct claims *claims, int *level); /* 0 or -1 */

/* doctor_uncaged.c: the same program by a plain interpreter. */
int uncaged_execute(const char *source, const char *inputs, const char *directory,
		    struct run_end *end); /* 0 or -errno */

/* doctor_neighbour.c: an execution beside the attacked one. */
struct neighbour {
	struct cage cage;
	pthread_t thread;
	bool running;
	char *source;
	const char *inputs;
	atomic_int ready;
	atomic_int over;
	struct run_end end;
};

int neighbour_start(struct neighbour *neighbour, const struct cage *like, char *source,
		    const char *inputs); /* takes source; 0 or -1 with cage.reason */
void neighbour_end(struct neighbour *neighbour, struct judge *judge);

/* doctor_run.c: every attack on one cage. */
enum cage_state { CAGE_TESTED, CAGE_NOT_OFFERED, CAGE_FAILED };

struct cage_report {
	struct cage cage;
	enum cage_state state;
	struct findings attacks[ATTACK_COUNT];
};

struct doctor {
	struct marks marks;
	struct bait bait;
	struct victim victim;
	bool uncaged;
};

/* Fills report->state and attacks. 0, CLI_FAILED after a message, or 130 when cancelled. */
int doctor_attack(struct doctor *doctor, struct cage_report *report, bool best);

/* doctor_host.c: what the host has. */
enum host_state { HOST_OK, HOST_WEAK, HOST_MISSING };

struct host_item {
	const char *name;
	enum host_state state;
	char value[200];
	char remedy[400]; /* "" when nothing is lacking */
};

#define HOST_ITEMS_MAX 16

struct host_items {
	size_t count;
	struct host_item items[HOST_ITEMS_MAX];
};

void host_look(const char *python, struct host_items *out);
const char *host_state_name(enum host_state state);

#define EXIT_UNTESTED 126 /* as for a run whose end is not known */

/* doctor_code.c */
struct report {
	struct host_items host;
	struct cage_report *cages; /* owned */
	size_t count;
	uint64_t wall_ms;
};

int report_code(const struct report *report); /* the command's exit code */
size_t report_count(const struct report *report, enum verdict verdict);
size_t report_cages(const struct report *report, enum cage_state state);

/* doctor_report.c, doctor_json.c */
void report_table(const struct report *report);
void report_json(const struct report *report);

#endif
