/*
 * Failure injection with the real engines: every allocation and every system call of the library, of
 * the keeper, or of the microVM engine's supervisor and workers, fails once in turn, over sessions that use all of the interface. Whatever fails:
 *  - a call gives an error with a text, or an outcome; never a hang;
 *  - a program that is said to have run well ran in the very cage that it has otherwise;
 *  - a program that breaks a limit is never said to have run well;
 *  - no descriptor and no memory of the library is left.
 *
 *   test_inject library|keeper|vmm FOLDER [FIRST [STEP]]
 *
 * The ordinary run takes every STEP-th call; PSB_INJECT_STEP=1 in the environment takes all.
 *
 * FOLDER holds the programs that the library starts and psb; for their turn also the file `inject`.
 * A worker's cage is looked at from outside: a guest cannot see it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cage_look.h"
#include "inject.h"
#include "pysandbox.h"

enum { FETCH_MS = 20000, HANG_S = 30, CAGE_LOOKS = 200, END_MS = 5000 };

/* What the guest sees of its cage. Two runs in the same cage give the same text. */
static const char look[] =
	"import os, resource\n"
	"def there(path):\n"
	"    try:\n"
	"        os.stat(path)\n"
	"        return True\n"
	"    except OSError:\n"
	"        return False\n"
	"def writable(path):\n"
	"    try:\n"
	"        open(path, 'w').close()\n"
	"        return True\n"
	"    except OSError:\n"
	"        return False\n"
	"def alive(pid):\n"
	"    try:\n"
	"        os.kill(pid, 0)\n"
	"        return True\n"
	"    except OSError:\n"
	"        return False\n"
	"space = os.statvfs('.')\n"
	"result = {\n"
	"    'root': sorted(os.listdir('/')), 'env': sorted(os.environ),\n"
	"    'there': [p for p in ('/etc/shadow', '/etc/hostname', '/proc/self/status', "
	"'/sys/fs',\n"
	"                          '/root', '/var', '/run', outside) if there(p)],\n"
	"    'writable': [p for p in ('/usr/x', '/x', '/etc/x', '/dev/x', outside) if "
	"writable(p)],\n"
	"    'alive': [pid for pid in range(3, 60) if alive(pid)], 'groups': os.getgroups(),\n"
	"    'uid': os.getuid() >= 1001 or os.getuid(), 'cwd': os.getcwd(), 'name': "
	"os.uname()[1],\n"
	"    'space': [space.f_blocks * space.f_frsize, space.f_files],\n"
	"    'limits': [resource.getrlimit(n) for n in range(16) if n != resource.RLIMIT_AS],\n"
	"    'memory': 64 << 20 < resource.getrlimit(resource.RLIMIT_AS)[1] < 400 << 20,\n"
	"}\n";
static const char hog[] = "x = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n";
static const char spin[] = "while True: pass\n";
static const char writer[] = "open('f.txt', 'w').write('hello')\nprint('said')\nresult = [1]\n";

static char reference[8192]; /* the result of `look` when nothing fails */
static const char *folder;
static char outputs[600];
static char canary[700];
static char level[12];
static bool in_library;
static bool in_vmm;
static char worker_cage[2000]; /* when nothing fails */

struct tally {
	long sessions;
	long errors;      /* of calls */
	long unavailable; /* nothing ran, and why */
	long lost;        /* ran, with no proof of its end */
	long good;
};

static void remove_outputs(void);

static struct tally tally;
static const char *only = ""; /* of all calls, those of this function */
static struct inject *inject;

__attribute__((format(printf, 1, 2), noreturn)) static void bad(const char *format, ...)
{
	va_list args;

	inject->armed = false;
	printf("# call %ld (%s, called from %p): ", inject->target, inject->fired, inject->caller);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	printf("\nnot ok 1\n1..1\n");
	remove_outputs();
	exit(1);
}

static void set_armed(bool armed)
{
	if (in_library)
		inject->armed = armed;
}

/* The wrapped calls are those of the library only when it is called from here. */
#define ARMED(call)                                                                                \
	(__extension__({                                                                           \
		set_armed(in_library);                                                             \
		__auto_type rc_ = (call);                                                          \
		set_armed(false);                                                                  \
		rc_;                                                                               \
	}))

static void count_error(int code, const struct psb_error *err)
{
	if (err->code != code || !err->message[0])
		bad("error %d without a text", code);
	tally.errors++;
}

static void on_hang(int number)
{
	(void)number;
	bad("a session hangs"); /* not safe in a handler, but this is the end */
}

/* Counts an outcome of which `ok` is all right. */
static void count_outcome(const psb_outcome *outcome)
{
	switch (psb_outcome_status(outcome)) {
	case PSB_OK: tally.good++; break;
	case PSB_UNAVAILABLE: tally.unavailable++; break;
	case PSB_UNKNOWN: tally.lost++; break;
	case PSB_TIMEOUT: tally.lost++; break; /* the engine fell silent */
	default: bad("unexpected outcome %s", psb_outcome_json(outcome, NULL));
	}
}

static void check_look(const psb_outcome *outcome)
{
	const char *result = psb_outcome_result(outcome, NULL);

	count_outcome(outcome);
	if (psb_outcome_status(outcome) != PSB_OK)
		return;
	if (!result)
		bad("ok without a result");
	if (!reference[0])
		(void)snprintf(reference, sizeof(reference), "%s", result);
	if (strcmp(result, reference) != 0)
		bad("another cage:\n# %s\n# %s", result, reference);
}

static void check_hog(const psb_outcome *outcome)
{
	int status = psb_outcome_status(outcome);

	if (status == PSB_OK)
		bad("300 MiB with a limit of 64: %s", psb_outcome_json(outcome, NULL));
	if (status == PSB_ERROR && strcmp(psb_outcome_error_type(outcome), "MemoryError") != 0)
		bad("unexpected error %s", psb_outcome_json(outcome, NULL));
	if (status != PSB_ERROR && status != PSB_MEMORY_LIMIT)
		count_outcome(outcome);
}

static void check_spin(const psb_outcome *outcome)
{
	int status = psb_outcome_status(outcome);

	if (status == PSB_OK)
		bad("an endless program ended: %s", psb_outcome_json(outcome, NULL));
	if (status != PSB_TIMEOUT && status != PSB_CPU_LIMIT)
		count_outcome(outcome);
}

/* A file that the host could not store is told with its reason. */
static bool tells_a_lost_file(const psb_outcome *outcome)
{
	const char *error = NULL;

	for (size_t i = 0; psb_outcome_file(outcome, i, NULL, NULL, &error) == 0; i++)
		if (error && error[0])
			return true;
	return false;
}

static void check_writer(const psb_outcome *outcome)
{
	char path[700];
	struct stat info;

	count_outcome(outcome);
	if (psb_outcome_status(outcome) != PSB_OK)
		return;
	(void)snprintf(path, sizeof(path), "%s/f.txt", outputs);
	if ((stat(path, &info) != 0 || info.st_size != 5) && !tells_a_lost_file(outcome))
		bad("ok, but its file is not there");
	if (strcmp(psb_outcome_stdout(outcome, NULL), "said\n") != 0)
		bad("ok, but its output is not there");
}

/* Of a worker that serves again; one that is being made gets a moment to close its jail. */
static void check_cage(void)
{
	const struct timespec pause = {0, 20000000};
	char text[sizeof(worker_cage)];

	for (int i = 0; i < CAGE_LOOKS; i++) {
		cage_look(text, sizeof(text));
		if (!worker_cage[0])
			memcpy(worker_cage, text, sizeof(text));
		if (!text[0] || strcmp(text, worker_cage) == 0)
			return;
		(void)nanosleep(&pause, NULL);
	}
	bad("another cage of the worker:\n# %s# %s", text, worker_cage);
}

static void fill(struct psb_request *request, const char *source, char *inputs, size_t size)
{
	psb_request_init(request);
	(void)snprintf(inputs, size, "{\"outside\":\"%s\"}", canary);
	request->source = source;
	request->source_len = strlen(source);
	request->inputs = inputs;
	request->inputs_len = strlen(inputs);
	request->tag = "inject";
}

static void execute(psb_sandbox *sandbox, const char *source, void (*check)(const psb_outcome *))
{
	struct psb_request request;
	struct psb_error err = {0};
	psb_outcome *outcome = NULL;
	char inputs[800];
	int code;

	fill(&request, source, inputs, sizeof(inputs));
	code = ARMED(psb_execute(sandbox, &request, &outcome, &err));
	if (code) {
		count_error(code, &err);
		return;
	}
	check(outcome);
	if (in_vmm && psb_outcome_status(outcome) == PSB_OK)
		check_cage();
	psb_outcome_free(outcome);
}

static bool submit(psb_sandbox *sandbox, const char *source, uint64_t wall_ms, const char *to)
{
	struct psb_request request;
	struct psb_limits limits;
	struct psb_error err = {0};
	char inputs[800];
	uint64_t job;
	int code;

	fill(&request, source, inputs, sizeof(inputs));
	psb_limits_init(&limits);
	limits.wall_ms = wall_ms;
	request.limits = &limits;
	request.output_dir = to;
	code = ARMED(psb_submit(sandbox, &request, &job, &err));
	if (code)
		count_error(code, &err);
	return code == 0;
}

static void fetch(psb_sandbox *sandbox, int count)
{
	struct psb_error err = {0};
	struct pollfd fd = {.fd = ARMED(psb_fd(sandbox, &err)), .events = POLLIN};

	if (fd.fd < 0)
		count_error(fd.fd, &err);
	while (count > 0) {
		psb_outcome *outcome = NULL;
		int ready = poll(&fd, 1, FETCH_MS);
		int got;

		if (ready <= 0)
			bad("%d jobs never ended", count);
		got = ARMED(psb_next(sandbox, &outcome, &err));
		if (got < 0)
			count_error(got, &err);
		if (got != 1)
			continue;
		(psb_outcome_job(outcome) == 1 ? check_spin : check_writer)(outcome);
		psb_outcome_free(outcome);
		count--;
	}
}

static void jobs(psb_sandbox *sandbox)
{
	char path[700];
	int count = 0;

	(void)snprintf(path, sizeof(path), "%s/f.txt", outputs);
	(void)unlink(path);
	if (submit(sandbox, spin, 80, NULL)) {
		count++;
		count += submit(sandbox, writer, 0, outputs);
	}
	if (count)
		fetch(sandbox, count);
}

static void use(psb_sandbox *sandbox)
{
	execute(sandbox, look, check_look);
	execute(sandbox, hog, check_hog);
	jobs(sandbox);
}

static void session(void)
{
	struct psb_options options;
	struct psb_error err = {0};
	psb_sandbox *sandbox = NULL;
	int code;

	psb_options_init(&options);
	psb_limits_init(&options.limits);
	options.engine = in_vmm ? "microvm" : "native";
	options.libexec = folder;
	options.policy = "{\"imports\":{\"mode\":\"off\"}}";
	options.require = level; /* a probe that fails must not lead to a lesser cage here */
	options.pool_size = 1;
	options.limits.memory_bytes = 64u << 20;
	options.limits.wall_ms = 3000;
	tally.sessions++;
	(void)signal(SIGALRM, on_hang);
	(void)alarm(HANG_S);
	code = ARMED(psb_open(&options, &sandbox, &err));
	if (code) {
		count_error(code, &err);
		return;
	}
	use(sandbox);
	set_armed(true);
	psb_close(sandbox);
	set_armed(false);
	if (in_vmm && cage_wait_for_all(END_MS) > 0)
		bad("a process outlives its sandbox");
	(void)alarm(0);
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		(void)closedir(dir);
	return count;
}

/* Returns how many calls there were. */
static long one(long n)
{
	int descriptors = open_descriptors();
	long alive;

	*inject = (struct inject){.target = n, .alive = inject->alive};
	(void)snprintf(inject->only, sizeof(inject->only), "%s", only);
	alive = inject->alive;
	session();
	if (open_descriptors() != descriptors)
		bad("%d descriptors became %d", descriptors, open_descriptors());
	if (in_library && inject->alive != alive)
		bad("%ld pieces of memory leak", inject->alive - alive);
	return inject->count;
}

static void check_reference(void)
{
	if (!reference[0] || tally.good != 2 || tally.errors || tally.unavailable || tally.lost)
		bad("the session fails by itself: %ld good, %ld errors, %ld unavailable, %ld lost",
		    tally.good, tally.errors, tally.unavailable, tally.lost);
	printf("# the cage: %s\n%s%s", reference, in_vmm ? "# the worker's: " : "", worker_cage);
}

/* A folder that receives files, with a file in it that a guest must neither see nor write. */
static void make_outputs(void)
{
	const char *base = getenv("TMPDIR");
	int fd;

	(void)snprintf(outputs, sizeof(outputs), "%.300s/psb-inject-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(outputs) || chmod(outputs, 0777) != 0)
		bad("cannot make %s", outputs);
	(void)snprintf(canary, sizeof(canary), "%s/canary", outputs);
	fd = open(canary, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || fchmod(fd, 0666) != 0)
		bad("cannot make %s", canary);
	(void)close(fd);
}

static void remove_outputs(void)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/f.txt", outputs);
	(void)unlink(path);
	(void)unlink(canary);
	(void)rmdir(outputs);
}

static bool find_engine(struct psb_engine_info *info)
{
	const char *wanted = in_vmm ? "microvm" : "native";

	for (size_t i = 0; psb_engine_at(i, info, NULL) == 0; i++)
		if (strcmp(info->name, wanted) == 0)
			return info->available != 0;
	return false;
}

/* Sessions shall find it: they are about supervisor and workers. */
static void build_image(void)
{
	struct psb_options options;
	struct psb_error err = {0};

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	psb_options_init(&options);
	options.libexec = folder;
	if (psb_image(&options, PSB_IMAGE_BUILD, NULL, NULL, &err) < 0)
		bad("no image: %s", err.message);
	(void)cage_wait_for_all(END_MS);
}

int main(int argc, char **argv)
{
	struct psb_engine_info info = {.size = sizeof(info)};
	char path[600];
	const char *wanted = getenv("PSB_INJECT_STEP");
	long step = argc > 4 ? strtol(argv[4], NULL, 10) : 1;
	long n = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
	long count;

	if (argc > 5)
		only = argv[5];
	if (wanted)
		step = strtol(wanted, NULL, 10);
	if (argc < 3 || step < 1)
		return 2;
	in_library = strcmp(argv[1], "library") == 0;
	in_vmm = strcmp(argv[1], "vmm") == 0;
	folder = argv[2];
	if (!find_engine(&info)) {
		printf("1..0 # SKIP %s\n", info.missing);
		return 0;
	}
	(void)snprintf(level, sizeof(level), "%d", (int)info.level);
	(void)snprintf(path, sizeof(path), "%.500s/inject", folder);
	inject = inject_open(path, in_library);
	inject->target = -1;
	make_outputs();
	if (in_vmm)
		build_image();
	count = one(-1);
	check_reference();
	printf("# %ld calls\n", count);
	for (; n < count; n += step)
		(void)one(n);
	printf("# %ld sessions: %ld runs good, %ld calls refused, %ld unavailable, %ld lost\n",
	       tally.sessions, tally.good, tally.errors, tally.unavailable, tally.lost);
	printf("ok 1 - %s\n1..1\n", argv[1]);
	(void)unlink(path);
	remove_outputs();
	return 0;
}
