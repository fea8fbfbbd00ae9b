/*
 * Example 3: four attacks. Each asks politely first (the import list answers) and then goes past
 * it with a call that only the kernel can refuse. The host sets the bait: a directory with a
 * secret in it and a listener; afterwards it looks whether the secret was seen, anything was
 * written or anybody called. `True` from the guest alone never counts as blocked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli.h"
#include "core/cleanup.h"
#include "demo.h"

#define SECRET "the secret of the host"

struct bait {
	char directory[64];
	char secret[96];
	int listener;
	int port;
};

/* `wall(call)` runs a call that must fail and says by what. */
#define PREAMBLE                                                                                   \
	"import errno, os, sys\n"                                                                  \
	"def guard(module):\n"                                                                     \
	"    try:\n"                                                                               \
	"        __import__(module)\n"                                                             \
	"    except ImportError as e:\n"                                                           \
	"        print('by the import list (%s) and ' % e, end='', flush=True)\n"                  \
	"def wall(name, call, *args):\n"                                                           \
	"    try:\n"                                                                               \
	"        print('NOT:', name, call(*args))\n"                                               \
	"        return False\n"                                                                   \
	"    except OSError as e:\n"                                                               \
	"        print('by the kernel (%s: %s, %s)' % (name, errno.errorcode[e.errno],\n"          \
	"              e.strerror))\n"                                                             \
	"        return True\n"

static const struct attack {
	const char *what;
	const char *source;
} attacks[] = {
	{"read the file system", PREAMBLE "result = wall('open', lambda: open(secret).read())\n"},
	{"run a subprocess",
	 PREAMBLE "guard('subprocess')\n"
		  "result = wall('execve', os.execv, sys.executable or '/usr/bin/python3',\n"
		  "    ['python3', '-c', 'print(1)'])\n"},
	{"use the network", PREAMBLE
	 "guard('socket')\n"
	 "import asyncio\n"
	 "socket = sys.modules['socket']\n"
	 "result = wall('socket', lambda: socket.create_connection(('127.0.0.1', port)))\n"},
	{"write a file outside",
	 PREAMBLE "result = wall('open', lambda: open(directory + '/written', 'w'))\n"},
};

static int bait_set(struct bait *bait)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	auto_fd fd = -1;

	(void)snprintf(bait->directory, sizeof(bait->directory), "/tmp/pysandbox-demo-XXXXXX");
	if (!mkdtemp(bait->directory)) {
		bait->directory[0] = '\0';
		return -errno;
	}
	(void)snprintf(bait->secret, sizeof(bait->secret), "%s/secret", bait->directory);
	fd = open(bait->secret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write_all(fd, SECRET, strlen(SECRET)))
		return -errno;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bait->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bait->listener < 0 ||
	    bind(bait->listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(bait->listener, 4) ||
	    getsockname(bait->listener, (struct sockaddr *)&address, &len))
		return -errno;
	bait->port = ntohs(address.sin_port);
	return 0;
}

static void bait_remove(struct bait *bait)
{
	if (bait->listener >= 0)
		(void)close(bait->listener);
	if (bait->secret[0])
		(void)unlink(bait->secret);
	if (bait->directory[0])
		(void)rmdir(bait->directory);
}

/* The directory holds the secret and nothing else. */
static bool only_secret_in(const char *directory)
{
	size_t others = 0;
	struct dirent *entry;
	DIR *dir = opendir(directory);

	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		others += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
			  strcmp(entry->d_name, "secret");
	(void)closedir(dir);
	return !others;
}

static bool bait_untouched(const struct bait *bait, const psb_outcome *outcome)
{
	auto_fd caller = accept4(bait->listener, NULL, NULL, SOCK_CLOEXEC);

	return caller < 0 && only_secret_in(bait->directory) &&
	       !strstr(psb_outcome_stdout(outcome, NULL), SECRET);
}

static bool guest_was_stopped(const psb_outcome *outcome)
{
	const char *result = psb_outcome_result(outcome, NULL);
	int status = psb_outcome_status(outcome);

	return status == PSB_DENIED || (status == PSB_OK && result && !strcmp(result, "true"));
}

static int show_attack(psb_sandbox *sandbox, const struct attack *attack, const struct bait *bait)
{
	char inputs[256];
	psb_outcome *outcome;
	const char *text;
	bool blocked;
	int rc;

	(void)snprintf(inputs, sizeof(inputs),
		       "{\"secret\":\"%s\",\"directory\":\"%s\",\"port\":%d}", bait->secret,
		       bait->directory, bait->port);
	rc = demo_execute(sandbox, attack->source, inputs, &outcome);
	if (rc)
		return rc;
	blocked = guest_was_stopped(outcome) && bait_untouched(bait, outcome);
	text = psb_outcome_stdout(outcome, NULL);
	printf("  %s%s%s: %s, %.*s%s\n", demo_colour(blocked ? "\033[32m" : "\033[31m"),
	       blocked ? "Blocked" : "NOT BLOCKED", demo_colour("\033[0m"), attack->what,
	       (int)strcspn(text, "\n"), text,
	       psb_outcome_status(outcome) == PSB_DENIED ? "killed for a forbidden call" : "");
	if (!blocked)
		printf("    %s\n", psb_outcome_json(outcome, NULL));
	psb_outcome_free(outcome);
	return blocked ? CLI_OK : CLI_FAILED;
}

int demo_attacks(psb_sandbox *sandbox)
{
	struct bait bait = {.listener = -1};
	int rc = bait_set(&bait);

	if (rc) {
		complain("demo: cannot set the bait under /tmp: %s", strerror(-rc));
		bait_remove(&bait);
		return CLI_FAILED;
	}
	printf("%sExample 3: four attacks%s\n", demo_colour("\033[1m"), demo_colour("\033[0m"));
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		int one = show_attack(sandbox, &attacks[i], &bait);

		rc = one ? one : rc;
	}
	bait_remove(&bait);
	return rc;
}
