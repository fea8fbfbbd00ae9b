/* Are the host's mitigations of speculative execution on? */
#ifndef PSB_HOST_SPECULATION_H
#define PSB_HOST_SPECULATION_H

#include <stdbool.h>
#include <stddef.h>

#define SPECULATION_DIR "/sys/devices/system/cpu/vulnerabilities"

struct speculation {
	bool mitigated;  /* the kernel reports every vulnerability as absent or mitigated */
	char found[96];  /* comma-separated: what is in the way, as far as it fits; "" if nothing */
	size_t examined; /* how many vulnerabilities the kernel reports on */
};

/* `dir` is SPECULATION_DIR but for tests. A host that does not tell counts as not mitigated. */
void speculation_read(const char *dir, struct speculation *out);

/* One file's text: true if it says "not affected" or "mitigated" without any "vulnerable". */
bool speculation_text_good(const char *text);

#endif
