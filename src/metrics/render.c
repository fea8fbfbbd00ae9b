/*
 * The exposition format: for each family a HELP and a TYPE line, then its samples. Label values are
 * the caller's (the tenant) or the library's; backslash, quote and newline are escaped, as the
 * format asks for. Families are a table, so that none can lack its help or its type.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "metrics/metrics.h"

struct page {
	struct buffer *out;
	int error;
};

/* One sandbox's samples of one family. */
typedef void (*sample_fn)(struct page *page, const char *name, const char *labels,
			  const struct metrics_view *view);

static void put(struct page *page, const char *text)
{
	if (!page->error)
		page->error = buffer_append_text(page->out, text);
}

static __attribute__((format(printf, 2, 3))) void print(struct page *page, const char *format, ...)
{
	char text[900];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(page, text);
}

static void sample(struct page *page, const char *name, const char *labels, uint64_t value)
{
	print(page, "%s{%s} %" PRIu64 "\n", name, labels, value);
}

static void labelled(struct page *page, const char *name, const char *labels, const char *key,
		     const char *text, uint64_t value)
{
	print(page, "%s{%s,%s=\"%s\"} %" PRIu64 "\n", name, labels, key, text, value);
}

static void seconds(struct page *page, uint64_t us)
{
	print(page, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

static void histogram(struct page *page, const char *name, const char *labels,
		      const struct histogram *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		sum += h->counts[i];
		print(page, "%s_bucket{%s,le=\"", name, labels);
		if (i < HISTOGRAM_BUCKETS)
			seconds(page, histogram_bounds_us[i]);
		else
			put(page, "+Inf");
		print(page, "\"} %" PRIu64 "\n", sum);
	}
	print(page, "%s_sum{%s} ", name, labels);
	seconds(page, h->sum_us);
	print(page, "\n%s_count{%s} %" PRIu64 "\n", name, labels, sum);
}

static void executions(struct page *page, const char *name, const char *labels,
		       const struct metrics_view *view)
{
	for (int i = 0; i < PSB_STATUS_COUNT; i++)
		labelled(page, name, labels, "status", psb_status_name(i),
			 view->metrics.outcomes[i]);
}

static void refused(struct page *page, const char *name, const char *labels,
		    const struct metrics_view *view)
{
	for (int i = 1; i < PSB_E_COUNT; i++)
		labelled(page, name, labels, "error", psb_error_name(-i), view->metrics.refused[i]);
}

static void denied(struct page *page, const char *name, const char *labels,
		   const struct metrics_view *view)
{
	labelled(page, name, labels, "kind", "import", view->metrics.denied_imports);
	labelled(page, name, labels, "kind", "syscall", view->metrics.denied_syscalls);
}

static void engine_level(struct page *page, const char *name, const char *labels,
			 const struct metrics_view *view)
{
	if (view->engine)
		labelled(page, name, labels, "engine", view->engine, (uint64_t)view->level);
}

static void wall(struct page *page, const char *name, const char *labels,
		 const struct metrics_view *view)
{
	histogram(page, name, labels, &view->metrics.wall);
}

static void cpu(struct page *page, const char *name, const char *labels,
		const struct metrics_view *view)
{
	histogram(page, name, labels, &view->metrics.cpu);
}

static void queue(struct page *page, const char *name, const char *labels,
		  const struct metrics_view *view)
{
	histogram(page, name, labels, &view->metrics.queue);
}

static void audit_append(struct page *page, const char *name, const char *labels,
			 const struct metrics_view *view)
{
	histogram(page, name, labels, &view->audit.append);
}

/* Families of one number each. */
#define NUMBER(function, value)                                                                    \
	static void function(struct page *page, const char *name, const char *labels,              \
			     const struct metrics_view *view)                                      \
	{                                                                                          \
		sample(page, name, labels, value);                                                 \
	}

NUMBER(fallbacks, view->metrics.fallbacks)
NUMBER(instances_failed, view->metrics.instances_failed)
NUMBER(pool_size, view->pool_size)
NUMBER(ready, view->ready)
NUMBER(running, view->running)
NUMBER(queued, view->queued)
NUMBER(audit_records, view->audit.records)
NUMBER(audit_failures, view->audit.failures)
NUMBER(audit_rotations, view->audit.rotations)

static const struct {
	const char *name;
	const char *type;
	const char *help;
	sample_fn put;
} families[] = {
	{"pysandbox_executions_total", "counter", "Outcomes by status.", executions},
	{"pysandbox_refused_calls_total", "counter", "Calls refused before anything ran.", refused},
	{"pysandbox_denied_total", "counter", "Imports and system calls that were denied.", denied},
	{"pysandbox_fallbacks_total", "counter", "Engines given up before a run began.", fallbacks},
	{"pysandbox_instances_failed_total", "counter",
	 "Instances that ended before they were ready.", instances_failed},
	{"pysandbox_wall_seconds", "histogram", "Time from a request's first byte to its end.",
	 wall},
	{"pysandbox_cpu_seconds", "histogram", "Processor time of a run.", cpu},
	{"pysandbox_queue_seconds", "histogram", "Time before a request's first byte.", queue},
	{"pysandbox_engine_level", "gauge", "Level of the open engine.", engine_level},
	{"pysandbox_pool_size", "gauge", "Instances to be kept ready.", pool_size},
	{"pysandbox_instances_ready", "gauge", "Instances that are ready.", ready},
	{"pysandbox_running", "gauge", "Executions in progress.", running},
	{"pysandbox_queued", "gauge", "Executions that wait for an instance.", queued},
	{"pysandbox_audit_records_total", "counter", "Audit records written.", audit_records},
	{"pysandbox_audit_failures_total", "counter", "Audit records that could not be written.",
	 audit_failures},
	{"pysandbox_audit_rotations_total", "counter", "Audit files put aside.", audit_rotations},
	{"pysandbox_audit_append_seconds", "histogram", "Time to write one audit record.",
	 audit_append},
};

/* sandbox="0",tenant="..." */
static void write_labels(size_t index, const char *tenant, char *out, size_t size)
{
	size_t at = (size_t)snprintf(out, size, "sandbox=\"%zu\",tenant=\"", index);

	for (; *tenant && at + 4 < size; tenant++) {
		bool escape = *tenant == '\\' || *tenant == '"' || *tenant == '\n';

		if (escape)
			out[at++] = '\\';
		out[at++] = *tenant == '\n' ? 'n' : *tenant;
	}
	out[at++] = '"';
	out[at] = '\0';
}

int metrics_render(const struct metrics_view *views, size_t count, struct buffer *out)
{
	struct page page = {out, 0};
	char labels[640];

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		print(&page, "# HELP %s %s\n# TYPE %s %s\n", families[i].name, families[i].help,
		      families[i].name, families[i].type);
		for (size_t v = 0; v < count; v++) {
			write_labels(v, views[v].tenant, labels, sizeof(labels));
			families[i].put(&page, families[i].name, labels, &views[v]);
		}
	}
	return page.error;
}
