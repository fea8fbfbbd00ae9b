/*
 * The audit verifier and the search for a chain's end, over hostile files. What must hold: pieces of
 * any size give the same report; a file without faults ends where tail_find() says it ends, so that
 * a writer continues what a verifier accepts; and tail_find() never continues a record that is not
 * there.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/tail.h"
#include "audit/verify.h"
#include "fuzz.h"

static void note_fault(void *context, const char *file, uint64_t line, const char *message)
{
	uint64_t *last = context;

	if (strcmp(file, "fuzz") != 0 || line == 0 || message[0] == '\0')
		abort();
	*last = line;
}

static struct psb_audit_report verify(const uint8_t *data, size_t size, size_t piece,
				      uint64_t *last_fault)
{
	struct psb_audit_report report;
	struct verifier verifier;

	verify_init(&verifier);
	verifier.on_fault = note_fault;
	verifier.context = last_fault;
	verify_begin_file(&verifier, "fuzz");
	for (size_t at = 0; at < size; at += piece)
		(void)verify_feed(&verifier, data + at, size - at < piece ? size - at : piece);
	verify_end_file(&verifier);
	verify_finish(&verifier);
	report = verifier.report;
	verify_free(&verifier);
	return report;
}

static bool same_report(const struct psb_audit_report *a, const struct psb_audit_report *b)
{
	return memcmp(a, b, offsetof(struct psb_audit_report, previous)) == 0 &&
	       strcmp(a->previous, b->previous) == 0 && strcmp(a->head, b->head) == 0;
}

static bool contains(const uint8_t *data, size_t size, const char *text)
{
	return memmem(data, size, text, strlen(text)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct audit_key no_key = {.keyed = false};
	uint64_t last_fault[2] = {0, 0};
	struct psb_audit_report whole = verify(data, size, size ? size : 1, &last_fault[0]);
	struct psb_audit_report pieces = verify(data, size, 7, &last_fault[1]);
	struct tail tail;

	if (!same_report(&whole, &pieces) || last_fault[0] != last_fault[1])
		abort();
	tail_find(&no_key, data, size, true, &tail);
	if (tail.state == TAIL_UNKNOWN || tail.torn_at > size)
		abort();
	if (tail.head.seq != 0 && !contains(data, size, tail.head.hash))
		abort();
	if (whole.faults == 0 && (tail.state != TAIL_WHOLE || tail.head.seq != whole.last_seq ||
				  strcmp(tail.head.hash, whole.head) != 0))
		abort();
	return 0;
}
