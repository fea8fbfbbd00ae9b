/*
 * The texts of /proc, as far as libraries read them.
 *
 * Trust boundary: nothing in here is about the host. A text that does not fit is cut.
 */
#include "syscalls.h"

struct text {
	char *at;
	uint64_t room;
	uint64_t used;
};

static void put(struct text *text, const char *string)
{
	uint64_t len = min_u64(strlen(string), text->room - text->used);

	memcpy(text->at + text->used, string, len);
	text->used += len;
}

static void put_number(struct text *text, uint64_t value, unsigned base, unsigned width)
{
	char digits[24];
	unsigned at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0 || sizeof(digits) - 1 - at < width);
	put(text, digits + at);
}

static void put_decimal(struct text *text, uint64_t value)
{
	put_number(text, value, 10, 1);
}

static void put_line(struct text *text, const char *label, uint64_t value, const char *unit)
{
	put(text, label);
	put_decimal(text, value);
	put(text, unit);
}

static void put_area(struct kernel *kernel, struct text *text, const struct area *area)
{
	put_number(text, area->start, 16, 8);
	put(text, "-");
	put_number(text, area->end, 16, 8);
	put(text, area->prot & LX_PROT_READ ? " r" : " -");
	put(text, area->prot & LX_PROT_WRITE ? "w" : "-");
	put(text, area->prot & LX_PROT_EXEC ? "x" : "-");
	put(text, area->kind == AREA_SHARED ? "s 00000000 00:00 0" : "p 00000000 00:00 0");
	if (area->start >= kernel->mm.brk_start && area->end <= page_up(kernel->mm.brk_end))
		put(text, "                          [heap]");
	if (kernel->current && area->start <= kernel->main_stack && kernel->main_stack < area->end)
		put(text, "                          [stack]");
	put(text, "\n");
}

static void put_maps(struct kernel *kernel, struct text *text)
{
	for (uint64_t i = 0; i < kernel->mm.count; i++)
		if (kernel->mm.areas[i].kind == AREA_PRIVATE ||
		    kernel->mm.areas[i].kind == AREA_SHARED ||
		    kernel->mm.areas[i].kind == AREA_LIBRARY)
			put_area(kernel, text, &kernel->mm.areas[i]);
}

static void put_status(struct kernel *kernel, struct text *text)
{
	put(text, "Name:\t");
	put(text, kernel->name);
	put(text, "\nState:\tR (running)\n");
	put_line(text, "Tgid:\t", kernel->pid, "\n");
	put_line(text, "Pid:\t", kernel->pid, "\nPPid:\t1\nTracerPid:\t0\n");
	put(text, "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n");
	put_line(text, "VmPeak:\t", kernel->mm.peak / 1024, " kB\n");
	put_line(text, "VmSize:\t", kernel->mm.charged / 1024, " kB\n");
	put_line(text, "VmHWM:\t", kernel->mm.peak / 1024, " kB\n");
	put_line(text, "VmRSS:\t", kernel->mm.charged / 1024, " kB\n");
	put_line(text, "Threads:\t", kernel->thread_count, "\n");
	put(text, "Cpus_allowed:\t1\nCpus_allowed_list:\t0\n");
}

static void put_meminfo(struct kernel *kernel, struct text *text)
{
	put_line(text, "MemTotal:       ", memory_total(kernel) / 1024, " kB\n");
	put_line(text, "MemFree:        ", memory_free(kernel) / 1024, " kB\n");
	put_line(text, "MemAvailable:   ", memory_free(kernel) / 1024, " kB\n");
	put(text, "Buffers:        0 kB\nCached:         0 kB\nSwapTotal:      0 kB\n"
		  "SwapFree:       0 kB\n");
}

static void put_statm(struct kernel *kernel, struct text *text)
{
	put_decimal(text, kernel->mm.charged / PAGE_BYTES);
	put(text, " ");
	put_decimal(text, kernel->mm.charged / PAGE_BYTES);
	put(text, " 0 0 0 0 0\n");
}

/* Fifty-two fields, of which few mean anything here. */
static void put_own_stat(struct kernel *kernel, struct text *text)
{
	uint64_t ticks = clock_cpu_ns(kernel) / (NS_PER_SEC / 100);

	put_decimal(text, kernel->pid);
	put(text, " (");
	put(text, kernel->name);
	put(text, ") R 1 ");
	put_decimal(text, kernel->pid);
	put(text, " 0 0 -1 0 0 0 0 0 ");
	put_decimal(text, ticks);
	put(text, " 0 0 0 20 0 ");
	put_decimal(text, kernel->thread_count);
	put(text, " 0 0 ");
	put_decimal(text, kernel->mm.charged);
	put(text, " ");
	put_decimal(text, kernel->mm.charged / PAGE_BYTES);
	put(text, " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
}

static void put_uptime(struct kernel *kernel, struct text *text)
{
	uint64_t ns = clock_ns(kernel, CLOCK_STEADY);

	put_decimal(text, ns / NS_PER_SEC);
	put(text, ".");
	put_number(text, ns % NS_PER_SEC / (NS_PER_SEC / 100), 10, 2);
	put(text, " 0.00\n");
}

static void put_cmdline(struct kernel *kernel, struct text *text)
{
	const char *at = kernel->boot->strings;

	for (uint32_t i = 0; i < kernel->boot->argc; i++) {
		put(text, at);
		if (text->used < text->room)
			text->at[text->used++] = 0;
		at += strlen(at) + 1;
	}
}

static void put_name(struct kernel *kernel, struct text *text)
{
	put(text, kernel->name);
	put(text, "\n");
}

static void put_exe(struct kernel *kernel, struct text *text)
{
	put(text, kernel->boot->strings);
}

struct description {
	const char *name;
	const char *fixed;
	void (*write)(struct kernel *kernel, struct text *text);
};

static const struct description descriptions[] = {
	{"maps", NULL, put_maps},
	{"status", NULL, put_status},
	{"self/stat", NULL, put_own_stat},
	{"statm", NULL, put_statm},
	{"cmdline", NULL, put_cmdline},
	{"comm", NULL, put_name},
	{"exe", NULL, put_exe},
	{"meminfo", NULL, put_meminfo},
	{"uptime", NULL, put_uptime},
	{"mounts", "image / romfs ro 0 0\ntmpfs /sandbox tmpfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n",
	 NULL},
	{"mountinfo",
	 "1 0 0:1 / / ro - romfs image ro\n2 1 0:2 / /sandbox rw - tmpfs tmpfs rw\n"
	 "3 1 0:2 / /tmp rw - tmpfs tmpfs rw\n",
	 NULL},
	{"cgroup", "0::/\n", NULL},
	{"loadavg", "0.00 0.00 0.00 1/1 1\n", NULL},
	{"version", "Linux version " GUEST_RELEASE " " GUEST_VERSION "\n", NULL},
	{"osrelease", GUEST_RELEASE "\n", NULL},
	{"filesystems", "nodev\ttmpfs\n\tromfs\n", NULL},
	{"stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nprocesses 1\n", NULL},
	{"cpuinfo",
	 "processor\t: 0\nmodel name\t: virtual processor\ncpu MHz\t\t: 0.000\n"
	 "cpu cores\t: 1\n\n",
	 NULL},
};

static bool same(const char *a, const char *b)
{
	uint64_t len = strlen(a);

	return len == strlen(b) && memcmp(a, b, len) == 0;
}

uint64_t describe(void *context, const char *what, char *buffer, uint64_t bytes)
{
	struct text text = {.at = buffer, .room = bytes};

	for (unsigned i = 0; i < sizeof(descriptions) / sizeof(descriptions[0]); i++) {
		if (!same(descriptions[i].name, what))
			continue;
		if (descriptions[i].write)
			descriptions[i].write(context, &text);
		else
			put(&text, descriptions[i].fixed);
	}
	return text.used;
}
