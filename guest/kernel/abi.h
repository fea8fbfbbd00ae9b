/*
 * What the VMM and the guest kernel agree on. Shared by src/engines/microvm (the VMM), by
 * guest/kernel (the library OS) and, through offsets.h, by the assembly in guest/kernel/x86.
 *
 * One virtual machine has one vCPU and one address space in which virtual = physical but for one
 * window. All pages are mapped when the machine boots and the page tables never change. Python and
 * the kernel run in ring 3 and share every user page: the kernel is no wall against Python, it is
 * Linux's manners.
 * The wall is the VMM, for which every byte in here that the guest can write is hostile.
 *
 *   0x0000_0000  not mapped, 2 MiB
 *   0x0020_0000  programs linked to fixed addresses (Debian's python3), up to GUEST_KERNEL_BASE
 *   GUEST_KERNEL_BASE, 16 MiB: see the GUEST_*_OFFSET below
 *   GUEST_GUARD_BASE  not mapped, 2 MiB: the main stack, lowest in the pool, ends in a fault
 *   GUEST_POOL_BASE .. run_info.pool_end: all other memory: heap, mmap, stacks, tmpfs
 *   GUEST_IMAGE_BASE  the file-system image (image_format.h), read-only for everybody
 *   GUEST_LIBRARY_BASE  the library window, the one place where virtual is not physical: the image
 *     gives each shared library a range in it; its read-only pages are the image's, its writable
 *     ones lie from GUEST_LIBRARY_RAM on, in the pool.
 *
 * A fresh page of the pool reads as zeroes. mprotect cannot take effect: the pool is read, write,
 * execute. The image, the kernel's text and that of libraries in the window refuse writes with a
 * fault; what is no text in the window refuses to be executed.
 *
 * Entering the kernel
 *   system call: `syscall` lands at x86/entry.S (MSR_LSTAR). It stays in ring 3 on a KVM that
 *     emulates ring 0 and enters ring 0 on an ordinary one; the kernel must work in both and
 *     return by iretq. There are no interrupts: the kernel is never pre-empted.
 *   fault or kick: the VMM stops the vCPU, writes trap_info and restarts it at
 *     kernel_header.trap_entry in ring 3. A kick is the timer of HOST_TIMER. If the vCPU was
 *     inside the kernel (rip in its text) a kick only sets comm.kick_pending, which the kernel
 *     looks at before it returns to user code (a kick may be lost just after that look: ask for
 *     periodic ones); a fault inside the kernel ends the run as a crash.
 *   collect: after the end of a run the VMM may restart at kernel_header.collect_entry, on a
 *     stack of its own: the kernel then writes the workspace to STREAM_FILES and calls HOST_EXIT.
 *
 * Booting
 *   The VMM starts kernel_header.boot_entry in ring 3 with boot_info filled. The kernel sets
 *   itself up, loads boot_info.argv[0] and its ELF interpreter from the image and runs it. The
 *   first HOST_READ is the snapshot: every execution begins there, returning from it, with
 *   run_info renewed (run_info.generation differs). Everything seeded from boot_info's entropy is
 *   then known to every execution and must be seeded anew from run_info's.
 *
 * Host calls: number in rax, arguments in rdi, rsi, rdx; `out %al, $HOST_CALL_PORT` with the
 * address of the next instruction in rcx; the result comes in rax (negative errno or >= 0). All
 * other registers are kept. x86/entry.S has host_call() for this.
 */
#ifndef PSB_KERNEL_ABI_H
#define PSB_KERNEL_ABI_H

#include <stdint.h>

#define GUEST_ABI_VERSION 2u

#define GUEST_PAGE_BYTES 4096u
#define GUEST_LARGE_PAGE_BYTES UINT64_C(0x200000)
#define GUEST_PROGRAM_BASE UINT64_C(0x00200000)
#define GUEST_KERNEL_BASE UINT64_C(0x02000000)
#define GUEST_KERNEL_BYTES UINT64_C(0x01000000)
#define GUEST_GUARD_BASE UINT64_C(0x03000000)
#define GUEST_POOL_BASE UINT64_C(0x03200000)
#define GUEST_POOL_MAX_END UINT64_C(0x200000000) /* 8 GiB; run_info says how much there is */
#define GUEST_IMAGE_BASE UINT64_C(0x400000000)
#define GUEST_IMAGE_MAX_BYTES UINT64_C(0x200000000)
#define GUEST_MAIN_STACK_BYTES UINT64_C(0x800000) /* at the start of the pool, above the guard */
#define GUEST_LIBRARY_RAM (GUEST_POOL_BASE + GUEST_MAIN_STACK_BYTES)
#define GUEST_LIBRARY_RAM_MAX_BYTES UINT64_C(0x2000000)
#define GUEST_LIBRARY_BASE UINT64_C(0x600000000)
#define GUEST_LIBRARY_MAX_BYTES UINT64_C(0x19000000) /* as many page tables as have room */

/* From GUEST_KERNEL_BASE. The first MiB (page and descriptor tables, exception stubs and their
 * stack) is for ring 0 only. */
#define GUEST_BOOT_INFO_OFFSET 0x100000u /* struct boot_info, written once */
#define GUEST_RUN_INFO_OFFSET 0x110000u  /* struct run_info, written before every execution */
#define GUEST_COMM_OFFSET 0x111000u      /* struct comm */
#define GUEST_OUTPUT_OFFSET 0x120000u    /* output records, see struct output_record */
#define GUEST_OUTPUT_BYTES 0x40000u
#define GUEST_KERNEL_IMAGE_OFFSET                                                                  \
	0x200000u /* the kernel's ELF segments, struct kernel_header first */

#define GUEST_BOOT_INFO (GUEST_KERNEL_BASE + GUEST_BOOT_INFO_OFFSET)
#define GUEST_RUN_INFO (GUEST_KERNEL_BASE + GUEST_RUN_INFO_OFFSET)
#define GUEST_COMM (GUEST_KERNEL_BASE + GUEST_COMM_OFFSET)
#define GUEST_OUTPUT (GUEST_KERNEL_BASE + GUEST_OUTPUT_OFFSET)
#define GUEST_KERNEL_IMAGE (GUEST_KERNEL_BASE + GUEST_KERNEL_IMAGE_OFFSET)

#define GUEST_USER_CS 0x33u
#define GUEST_USER_SS 0x2bu
#define HOST_CALL_PORT 0x80u
#define EXCEPTION_PORT 0x20u /* the ring-0 stubs; the VMM only */

/* Fixed descriptors of the runner (guest/ext/psb_ext.h). */
#define GUEST_STDOUT_FD 1
#define GUEST_STDERR_FD 2
#define GUEST_RESULT_FD 250
#define GUEST_REQUEST_FD 251

enum host_call {
	/* (buffer, bytes): the next bytes of the request, as many as are there; 0 at its end. The
	 * output is drained first. */
	HOST_READ = 1,
	/* (): takes the output records; the kernel's next record begins at offset 0 again. Blocks
	 * while the host application does not read. */
	HOST_FLUSH = 2,
	/* (ns): sleeps so long, or until a kick; UINT64_MAX: until a kick or the run's end. Drains
	 * the output first. */
	HOST_WAIT = 3,
	/* (first_ns, period_ns): kicks after first_ns from now and then every period_ns (at least
	 * HOST_TIMER_MIN_NS; 0: never again). (0, 0): no more kicks. Replaces the one before. */
	HOST_TIMER = 4,
	/* (kind, value, address): the end of the run; does not return. Drains the output. */
	HOST_EXIT = 5,
	/* (text, bytes): the kernel cannot go on; does not return. The text is shown when an image
	 * is built and else goes nowhere. */
	HOST_PANIC = 6,
};

#define HOST_TIMER_MIN_NS 500000u
#define HOST_PANIC_MAX_BYTES 512u

enum exit_kind {
	EXIT_CODE = 0,   /* value: code of exit_group */
	EXIT_SIGNAL = 1, /* value: number of the fatal signal; address: fault address or 0 */
};

enum output_stream {
	STREAM_STDOUT = 1,
	STREAM_STDERR = 2,
	STREAM_RESULT = 3,
	STREAM_FILES = 4, /* collect: struct file_record, name, data; see there */
	STREAM_IMAGE = 5, /* reserved */
};

/* At GUEST_OUTPUT, one after the other, comm.output_used bytes in all. Padded to 8. */
struct output_record {
	uint32_t stream;
	uint32_t bytes; /* of data that follow */
};

/* STREAM_FILES: a sequence of these, in a pre-order walk of the workspace. The name is relative to
 * the workspace, no NUL, no "." or ".." in it. Directories come before what is in them. */
struct file_record {
	uint32_t mode; /* S_IFREG, S_IFDIR or S_IFLNK | permissions */
	uint32_t name_bytes;
	uint64_t data_bytes; /* of the file, or of the link's target */
	int64_t mtime_ns;
};

/* A time-stamp-counter clock: now_ns = base_ns + ((rdtsc - base) * multiplier >> 32), with a
 * 128-bit product. Set before a run and after every HOST_WAIT; base is the guest's counter when it
 * first sees another base_tsc here, as the VMM's counter may be another one. */
struct guest_clock {
	uint64_t base_tsc;
	uint64_t multiplier;
	uint64_t
		monotonic_base_ns; /* since the host's boot plus an offset of the execution's own */
	uint64_t realtime_base_ns; /* since the epoch */
};

#define GUEST_MAX_ARGS 64u
#define GUEST_MAX_STRING_BYTES 8192u

struct boot_info {
	uint32_t abi_version;
	uint32_t argc; /* argv[0] is the path of the interpreter in the image */
	uint32_t envc;
	uint32_t string_bytes;
	uint64_t image_bytes; /* at GUEST_IMAGE_BASE */
	uint64_t pool_end;    /* while booting; run_info.pool_end counts later */
	uint64_t xsave_mask;  /* for xsave and xrstor */
	uint64_t xsave_bytes; /* size of such an area, aligned to 64; at most 16 KiB */
	uint64_t hwcap;       /* AT_HWCAP, AT_HWCAP2 */
	uint64_t hwcap2;
	uint64_t library_bytes;     /* of the window that are mapped; 0: none is */
	uint64_t library_ram_bytes; /* from GUEST_LIBRARY_RAM on, which only the window uses */
	uint8_t entropy[48];
	struct guest_clock clock;
	/* argc + envc NUL-terminated strings, one after the other. */
	char strings[GUEST_MAX_STRING_BYTES];
};

struct run_info {
	uint64_t generation; /* 0 while booting, then another number for each execution */
	uint8_t entropy[48];
	struct guest_clock clock;
	uint64_t pool_end;
	uint64_t memory_limit_bytes; /* that this execution may add to what the snapshot holds */
	uint64_t workspace_bytes;    /* tmpfs: bytes and inodes that it may add */
	uint64_t workspace_files;
	uint64_t max_threads; /* in all */
	uint64_t max_open_files;
	uint32_t pid; /* of this execution; threads follow */
	uint32_t reserved;
};

struct guest_registers {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* system-call number, or -1 for a trap */
	uint64_t rip, cs, rflags, rsp, ss;
};

#define TRAP_KICK 256u

struct trap_info {
	uint64_t vector; /* 0-31 as the processor's, or TRAP_KICK */
	uint64_t error_code;
	uint64_t address; /* cr2 of a page fault */
	struct guest_registers regs;
};

enum comm_limit {
	COMM_LIMIT_MEMORY = 1,
	COMM_LIMIT_PROCESSES = 2, /* a thread too many, or fork */
	COMM_LIMIT_DISK = 4,
	COMM_LIMIT_OPEN_FILES = 8,
};

/* The VMM reads these when the vCPU stands still; it writes trap and kick_pending. */
struct comm {
	uint32_t kick_pending;
	uint32_t output_used;
	uint32_t limits_hit;        /* enum comm_limit */
	uint32_t unknown_calls;     /* ENOSYS answers */
	uint32_t last_unknown_call; /* its number */
	uint32_t reserved;
	uint64_t memory_peak_bytes; /* beyond the snapshot */
	uint64_t workspace_used_bytes;
	struct trap_info trap;
	/* Large pages that hold nothing but the program's read-only segments. Set once, at boot: in the
	 * snapshot they are read-only. */
	uint64_t text_start;
	uint64_t text_end;
};

#define KERNEL_HEADER_MAGIC UINT64_C(0x314b5f4d56425350) /* "PSBVM_K1" */

/* First thing of the kernel's image. The VMM trusts it: it comes from our own build. */
struct kernel_header {
	uint64_t magic;
	uint64_t abi_version;
	uint64_t boot_entry;
	uint64_t boot_stack;
	uint64_t syscall_entry;
	uint64_t trap_entry;
	uint64_t collect_entry;
	uint64_t text_start;
	uint64_t text_end;
};

#endif
