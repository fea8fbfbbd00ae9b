/*
 * Theory of operation: guest memory is a file in memory, mapped shared. The kernel's ELF
 * segments are copied to their places, tables and boot page written, the process is caged, and the
 * vCPU runs until the interpreter asks for its first request. The vCPU's state goes to the process
 * outside, which finds where memory ends and writes the snapshot (boot_store).
 * Trust boundary: the code that runs (start-up files, preloaded modules) is the guest's; it sees a
 * machine without rights like any later execution, in a process that is caged like a worker. What
 * that process reports is as much the guest's as the memory; snapshot_load() bounds it. The kernel
 * file and the image are our own.
 */
#include "boot.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../../guest/kernel/image_libraries.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/sha256.h"
#include "jail.h"
#include "run.h"

#define MAX_KERNEL_BYTES (8u << 20)
#define MAX_SEGMENTS 8u
#define XSAVE_LEGACY_BYTES 832u
#define DENSE_PAGES 128u /* of the 512 of a large page: worth the disk of the rest */
#define BOOT_END (GUEST_POOL_BASE + BOOT_POOL_BYTES)

static int bad_kernel(struct psb_error *err)
{
	return psb_fail(err, PSB_E_ENGINE, 0,
			"vmm: the guest kernel's file is damaged; reinstall pysandbox");
}

static int load_segment(const struct boot *boot, struct memory *memory, const Elf64_Phdr *segment,
			struct psb_error *err)
{
	uint8_t *to;

	if (segment->p_type != PT_LOAD || segment->p_memsz == 0)
		return 0;
	if (segment->p_vaddr < GUEST_KERNEL_IMAGE || segment->p_memsz > GUEST_KERNEL_BYTES ||
	    segment->p_vaddr + segment->p_memsz > GUEST_GUARD_BASE ||
	    segment->p_filesz > segment->p_memsz)
		return bad_kernel(err);
	to = memory_claim(memory, segment->p_vaddr, segment->p_memsz);
	if (!to || pread(boot->kernel_fd, to, segment->p_filesz, (off_t)segment->p_offset) !=
			   (ssize_t)segment->p_filesz)
		return bad_kernel(err);
	return 0;
}

static int load_kernel(const struct boot *boot, struct memory *memory, struct psb_error *err)
{
	Elf64_Ehdr head;
	Elf64_Phdr segments[MAX_SEGMENTS];
	size_t bytes;
	int rc = 0;

	if (pread(boot->kernel_fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_machine != EM_X86_64 ||
	    head.e_phentsize != sizeof(segments[0]) || head.e_phnum > MAX_SEGMENTS)
		return bad_kernel(err);
	bytes = head.e_phnum * sizeof(segments[0]);
	if (pread(boot->kernel_fd, segments, bytes, (off_t)head.e_phoff) != (ssize_t)bytes)
		return bad_kernel(err);
	for (size_t i = 0; rc == 0 && i < head.e_phnum; i++)
		rc = load_segment(boot, memory, &segments[i], err);
	return rc;
}

static int put_strings(struct boot_info *info, const char *const *list, uint32_t *count,
		       struct psb_error *err)
{
	for (; list[*count]; (*count)++) {
		size_t bytes = strlen(list[*count]) + 1;

		if (bytes > sizeof(info->strings) - info->string_bytes || *count >= GUEST_MAX_ARGS)
			return psb_fail(err, PSB_E_TOO_LARGE, 0,
					"vmm: the interpreter's arguments are over %u bytes; "
					"preload fewer modules",
					GUEST_MAX_STRING_BYTES);
		memcpy(info->strings + info->string_bytes, list[*count], bytes);
		info->string_bytes += (uint32_t)bytes;
	}
	return 0;
}

static uint64_t host_xcr0(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

/* Where the guest may not have an XCR0 of its own, it runs with the host's. */
static void describe_xsave(const struct machine *machine, struct boot_info *info)
{
	unsigned int eax = 0;
	unsigned int ebx = 0;
	unsigned int ecx = 0;
	unsigned int edx = 0;

	info->xsave_mask = machine->xcr0 ? machine->xcr0 : (host_xcr0() & 0xe7);
	info->xsave_bytes = XSAVE_LEGACY_BYTES;
	for (unsigned int part = 2; part < 8; part++) {
		__cpuid_count(0xd, part, eax, ebx, ecx, edx);
		if ((info->xsave_mask >> part & 1) && eax + ebx > info->xsave_bytes)
			info->xsave_bytes = eax + ebx;
	}
	info->xsave_bytes = (info->xsave_bytes + 63) & ~UINT64_C(63);
}

static uint64_t tsc_khz(const struct machine *machine)
{
	int khz = ioctl(machine->vcpu_fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint64_t)khz : 1000000;
}

static int write_boot_pages(const struct boot *boot, struct machine *machine,
			    const struct image_libraries *libraries, struct psb_error *err)
{
	auto_free struct boot_info *info = calloc(1, sizeof(*info));
	struct memory *memory = machine->memory;
	struct run_info run = {.pool_end = memory->end,
			       .memory_limit_bytes = memory->end,
			       .workspace_bytes = 64u << 20,
			       .workspace_files = 4096,
			       .max_threads = 64,
			       .max_open_files = 128,
			       .pid = 2};

	if (!info)
		return psb_fail(err, PSB_E_MEMORY, 0, "vmm: out of memory");
	info->abi_version = GUEST_ABI_VERSION;
	info->image_bytes = boot->image_bytes;
	info->pool_end = memory->end;
	info->library_bytes = libraries->bytes;
	info->library_ram_bytes = libraries->ram_bytes;
	info->hwcap = getauxval(AT_HWCAP);
	info->hwcap2 = getauxval(AT_HWCAP2);
	info->clock = run.clock = run_guest_clock(tsc_khz(machine));
	describe_xsave(machine, info);
	if (getrandom(info->entropy, sizeof(info->entropy), 0) != (ssize_t)sizeof(info->entropy) ||
	    getrandom(run.entropy, sizeof(run.entropy), 0) != (ssize_t)sizeof(run.entropy))
		return psb_fail(err, PSB_E_SYSTEM, errno, "vmm: getrandom: %s", strerror(errno));
	if (put_strings(info, boot->argv, &info->argc, err) < 0 ||
	    put_strings(info, boot->envp, &info->envc, err) < 0)
		return -1;
	(void)memory_write(memory, GUEST_BOOT_INFO, info, sizeof(*info));
	(void)memory_write(memory, GUEST_RUN_INFO, &run, sizeof(run));
	return 0;
}

/* Keeps the end of it: that is where an interpreter says why it failed. */
static int keep_output(void *context, uint32_t stream, const uint8_t *data, uint32_t bytes)
{
	struct boot *boot = context;

	if (stream != STREAM_STDOUT && stream != STREAM_STDERR)
		return 0;
	for (uint32_t i = 0; i < bytes; i++) {
		if (boot->output_len == sizeof(boot->output) - 1) {
			memmove(boot->output, boot->output + 1024, boot->output_len - 1024);
			boot->output_len -= 1024;
		}
		boot->output[boot->output_len++] = data[i] >= ' ' ? (char)data[i] : ' ';
	}
	return 0;
}

static int show_nothing(void *context)
{
	(void)context;
	return 0;
}

static int explain(const struct boot *boot, const struct run *run, enum run_end end,
		   struct psb_error *err)
{
	size_t skip = boot->output_len > 250 ? boot->output_len - 250 : 0;

	switch (end) {
	case RUN_EXITED:
		return psb_fail(err, PSB_E_ENGINE, 0,
				"the interpreter ended (%s %lld) before it could serve: %s",
				run->exit_kind == EXIT_CODE ? "exit" : "signal",
				(long long)run->exit_value, boot->output + skip);
	case RUN_PANICKED:
		return psb_fail(err, PSB_E_ENGINE, 0, "the guest kernel gave up: %.300s",
				run->panic);
	case RUN_CRASHED:
		return psb_fail(err, PSB_E_ENGINE, 0,
				"the machine crashed while booting (signal %u, address %#llx, rip "
				"%#llx): %s",
				run->signal, (unsigned long long)run->address,
				(unsigned long long)run->machine->run->s.regs.regs.rip,
				boot->output + skip);
	case RUN_TIMED_OUT:
		return psb_fail(
			err, PSB_E_ENGINE, 0,
			"the interpreter was not ready within %llu s; preload fewer modules",
			(unsigned long long)(BOOT_WALL_NS / 1000000000));
	case RUN_CALLED_READ:
	case RUN_CPU_SPENT:
	case RUN_STOPPED:
	case RUN_HOST_GONE:
	case RUN_BROKEN: break;
	}
	return psb_fail(err, PSB_E_ENGINE, 0, "KVM failed while booting (exit reason %u)",
			run->machine->run->exit_reason);
}

static bool is_zero(const uint8_t *data, size_t bytes)
{
	return data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0;
}

/* Behind the last byte that was ever written, as the file knows it. */
static uint64_t written_end(int fd, uint64_t start)
{
	off_t at = 0;
	off_t end = 0;

	for (;;) {
		at = lseek(fd, end, SEEK_DATA);
		if (at < 0)
			return start + (uint64_t)end;
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0)
			return UINT64_MAX;
	}
}

/* Behind the last page that is not zero, on a boundary that slots like. */
static uint64_t find_end(const struct memory *memory, int fd)
{
	uint64_t end = written_end(fd, GUEST_PROGRAM_BASE);

	end = end < memory->end ? (end + GUEST_LARGE_PAGE_BYTES - 1) & ~(GUEST_LARGE_PAGE_BYTES - 1)
				: memory->end;
	while (end > GUEST_POOL_BASE &&
	       is_zero(memory->ram + end - GUEST_LARGE_PAGE_BYTES, GUEST_LARGE_PAGE_BYTES))
		end -= GUEST_LARGE_PAGE_BYTES;
	return end;
}

/* What the guest's kernel says; snapshot_load() bounds it, too. */
static void protect_text(struct memory *memory, struct snapshot_header *header)
{
	struct comm comm;

	header->text_start = header->text_end = GUEST_PROGRAM_BASE;
	if (!memory_read(memory, GUEST_COMM, &comm, sizeof(comm)) ||
	    comm.text_start < GUEST_PROGRAM_BASE || comm.text_end > GUEST_KERNEL_BASE ||
	    comm.text_start >= comm.text_end ||
	    (comm.text_start | comm.text_end) % GUEST_LARGE_PAGE_BYTES != 0)
		return;
	header->text_start = comm.text_start;
	header->text_end = comm.text_end;
	machine_protect_text(memory, comm.text_start, comm.text_end);
}

static void describe(const struct boot *boot, struct snapshot_header *header)
{
	(void)snprintf(header->image_name, sizeof(header->image_name), "%s", boot->image_name);
	(void)snprintf(header->python, sizeof(header->python), "%s", boot->argv[0]);
	(void)snprintf(header->preload, sizeof(header->preload), "%s", boot->preload);
}

static void hash(const uint8_t *data, uint64_t bytes, uint8_t digest[32])
{
	struct sha256 state;

	sha256_init(&state);
	sha256_update(&state, data, bytes);
	sha256_final(&state, digest);
}

static void fill_header(const struct boot *boot, const struct boot_result *result,
			struct memory *memory, struct snapshot_header *header)
{
	header->magic = SNAPSHOT_MAGIC;
	header->version = SNAPSHOT_VERSION;
	header->state_bytes = sizeof(header->state);
	header->state = result->state;
	/* KVMs differ in where rip stands after a port write; the guest says where to go on. */
	header->state.regs.rip = header->state.regs.rcx;
	memcpy(header->key, boot->key, sizeof(header->key));
	header->image_bytes = boot->image_bytes;
	header->memory_end = find_end(memory, boot->memory_fd);
	header->read_buffer = header->state.regs.rdi;
	header->read_bytes = header->state.regs.rsi;
	header->tsc_khz = result->tsc_khz;
	protect_text(memory, header);
	hash(memory->ram + GUEST_PROGRAM_BASE, header->memory_end - GUEST_PROGRAM_BASE,
	     header->memory_sha256);
	hash(memory->image, boot->image_bytes, header->image_sha256);
	describe(boot, header);
}

static int open_memory(const struct boot *boot, struct memory *memory, struct psb_error *err)
{
	int rc = memory_open_boot(memory, boot->memory_fd, BOOT_END, err);

	return rc < 0 ? rc : memory_map_image(memory, boot->image_fd, boot->image_bytes, err);
}

static int write_range(const struct boot *boot, const struct memory *memory, uint64_t start,
		       uint64_t bytes, struct psb_error *err)
{
	off_t at = (off_t)(SNAPSHOT_MEMORY_OFFSET + start - GUEST_PROGRAM_BASE);
	ssize_t n = pwrite(boot->snapshot_fd, memory->ram + start, bytes, at);

	if (n == (ssize_t)bytes)
		return 0;
	return psb_fail(err, PSB_E_SYSTEM, n < 0 ? errno : ENOSPC,
			"image: cannot write the snapshot: %s", strerror(n < 0 ? errno : ENOSPC));
}

/* A large page that is mostly in use is written as one: file systems that can then keep it as one
 * (ext4 and XFS of late), and KVM maps what is only read with one fault in place of hundreds. */
static int write_chunk(const struct boot *boot, const struct memory *memory, uint64_t start,
		       struct psb_error *err)
{
	bool used[GUEST_LARGE_PAGE_BYTES / GUEST_PAGE_BYTES];
	size_t count = 0;
	int rc = 0;

	for (size_t i = 0; i < GUEST_LARGE_PAGE_BYTES / GUEST_PAGE_BYTES; i++) {
		used[i] = !is_zero(memory->ram + start + i * GUEST_PAGE_BYTES, GUEST_PAGE_BYTES);
		count += used[i];
	}
	if (count >= DENSE_PAGES)
		return write_range(boot, memory, start, GUEST_LARGE_PAGE_BYTES, err);
	for (size_t i = 0; rc == 0 && i < GUEST_LARGE_PAGE_BYTES / GUEST_PAGE_BYTES; i++)
		if (used[i])
			rc = write_range(boot, memory, start + i * GUEST_PAGE_BYTES,
					 GUEST_PAGE_BYTES, err);
	return rc;
}

/* Sparse: pages of zeroes are holes. */
static int write_memory(const struct boot *boot, const struct memory *memory, uint64_t end,
			struct psb_error *err)
{
	off_t bytes = (off_t)(SNAPSHOT_MEMORY_OFFSET + end - GUEST_PROGRAM_BASE);
	int rc = 0;

	if (ftruncate(boot->snapshot_fd, bytes) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: cannot make the snapshot: %s",
				strerror(errno));
	for (uint64_t at = GUEST_PROGRAM_BASE; rc == 0 && at < end; at += GUEST_LARGE_PAGE_BYTES)
		rc = write_chunk(boot, memory, at, err);
	return rc;
}

int boot_store(const struct boot *boot, const struct boot_result *result, struct psb_error *err)
{
	auto_free struct snapshot_header *header = calloc(1, sizeof(*header));
	struct memory memory;
	int rc;

	if (!header)
		return psb_fail(err, PSB_E_MEMORY, ENOMEM, "vmm: out of memory");
	rc = machine_ask_features(boot->kvm_fd, &header->features, err);
	if (rc < 0)
		return rc;
	rc = open_memory(boot, &memory, err);
	if (rc == 0) {
		fill_header(boot, result, &memory, header);
		rc = write_memory(boot, &memory, header->memory_end, err);
	}
	memory_close(&memory);
	if (rc < 0)
		return rc;
	if (pwrite(boot->snapshot_fd, header, sizeof(*header), 0) != (ssize_t)sizeof(*header) ||
	    fsync(boot->snapshot_fd) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: cannot write the snapshot: %s",
				strerror(errno));
	return 0;
}

static int run_up_to_request(struct boot *boot, struct machine *machine, struct psb_error *err)
{
	struct run run = {.machine = machine,
			  .io = {NULL, keep_output, show_nothing, boot},
			  .wall_deadline_ns = run_clock_ns() + BOOT_WALL_NS};
	enum run_end end = run_machine(&run);

	boot->output[boot->output_len] = '\0';
	return end == RUN_CALLED_READ ? 0 : explain(boot, &run, end, err);
}

/* None in what is no file system: the guest kernel then says so. */
static int read_libraries(const struct memory *memory, struct image_libraries *libraries,
			  struct psb_error *err)
{
	const struct image_header *header = (const void *)memory->image;

	if (memory->image_bytes < sizeof(*header) || header->magic != IMAGE_MAGIC ||
	    header->version != IMAGE_VERSION)
		return 0;
	if (image_libraries_read(memory->image, memory->image_bytes, libraries))
		return 0;
	return psb_fail(err, PSB_E_ENGINE, 0,
			"image: the table of libraries is damaged; remove the image and build "
			"again");
}

static int boot_machine(struct boot *boot, struct memory *memory, struct boot_result *out,
			struct psb_error *err)
{
	static struct machine_features features;
	struct image_libraries libraries = {0};
	struct machine machine = {.vm_fd = -1, .vcpu_fd = -1, .memory = memory};
	int rc = machine_ask_features(boot->kvm_fd, &features, err);

	if (rc == 0)
		rc = machine_open(&machine, boot->kvm_fd, memory, &features, err);
	if (rc < 0)
		return rc;
	out->tsc_khz = tsc_khz(&machine);
	rc = read_libraries(memory, &libraries, err);
	if (rc == 0)
		rc = write_boot_pages(boot, &machine, &libraries, err);
	if (rc == 0)
		rc = machine_write_tables(memory, &libraries, err);
	if (rc == 0)
		rc = machine_set_boot_state(&machine, err);
	if (rc == 0)
		rc = run_timers_open(err);
	if (rc == 0 && boot->report_fd >= 0)
		rc = boot_jail(&machine, &boot->report_fd, err);
	if (rc == 0)
		rc = run_up_to_request(boot, &machine, err);
	if (rc == 0)
		rc = machine_get_state(&machine, &out->state, err);
	if (boot->report_fd < 0) /* a caged process cannot unmap: it ends */
		machine_close(&machine);
	return rc;
}

int boot_run(struct boot *boot, struct boot_result *out, struct psb_error *err)
{
	struct memory memory;
	int rc;

	if (ftruncate(boot->memory_fd, (off_t)(BOOT_END - GUEST_PROGRAM_BASE)) < 0)
		return psb_fail(err, PSB_E_SYSTEM, errno, "image: no memory to boot in: %s",
				strerror(errno));
	rc = open_memory(boot, &memory, err);
	if (rc == 0)
		rc = load_kernel(boot, &memory, err);
	if (rc == 0)
		rc = boot_machine(boot, &memory, out, err);
	if (boot->report_fd < 0)
		memory_close(&memory);
	return rc;
}
