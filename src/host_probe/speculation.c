/*
 * Theory of operation: the kernel has one file for each known weakness of processors. It begins
 * with "Not affected", "Mitigation: ..." or "Vulnerable ...", some with a prefix ("KVM: "), and a
 * mitigation may add that a part of it is missing ("SMT vulnerable", "BHI: Vulnerable"). Only what
 * is known to be good counts: anything else, an unreadable file, or no files at all, is not
 * mitigated. New weaknesses come with new kernels, so the directory is listed, not a list kept.
 *
 * Trust: the kernel's text only; it is read into a fixed buffer.
 */
#include "host_probe/speculation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAX_FILES 256u
#define MAX_TEXT 512u

static bool begins(const char *text, const char *start)
{
	return strncasecmp(text, start, strlen(start)) == 0;
}

bool speculation_text_good(const char *text)
{
	if (begins(text, "KVM: "))
		text += strlen("KVM: ");
	if (!begins(text, "Not affected") && !begins(text, "Mitigation"))
		return false;
	return !strcasestr(text, "vulnerable") && !strcasestr(text, "unknown");
}

static bool file_good(int dir, const char *name)
{
	auto_fd fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[MAX_TEXT];
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (n <= 0)
		return false;
	text[n] = '\0';
	return speculation_text_good(text);
}

static void note(struct speculation *found, const char *prefix, const char *name)
{
	size_t len = strlen(found->found);
	size_t more = strlen(prefix) + strlen(name) + (len > 0);

	found->mitigated = false;
	if (len + more < sizeof(found->found))
		(void)snprintf(found->found + len, sizeof(found->found) - len, "%s%s%s",
			       len > 0 ? "," : "", prefix, name);
}

/* Consumes the directory stream's entries, in the order the kernel gives them. */
static void examine(DIR *dir, struct speculation *found)
{
	const struct dirent *entry;

	while (found->examined < MAX_FILES && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		found->examined++;
		if (!file_good(dirfd(dir), entry->d_name))
			note(found, "vulnerable:", entry->d_name);
	}
	if (found->examined == 0 || found->examined == MAX_FILES)
		note(found, "", "unknown");
}

void speculation_read(const char *path, struct speculation *out)
{
	auto_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	*out = (struct speculation){.mitigated = true};
	if (!dir) {
		note(out, "", "unknown");
		return;
	}
	(void)take_fd(fd);
	examine(dir, out);
	(void)closedir(dir);
}
