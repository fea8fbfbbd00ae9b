/*
 * Theory of operation: the tables that the processor reads, written once when a machine boots and
 * never changed, but that the snapshot has the program's text read-only. Virtual = physical, but for
 * the library window. Memory is mapped by pages of 2 MiB, one of which is left out below the main
 * stack, so that endless recursion faults; the kernel's 16 MiB by pages of 4 KiB, of which the first MiB (these tables, the stubs, their stack) is ring 0's and
 * the kernel's text cannot be written. The image cannot be written either. The library window shows
 * what the image's table says: pages of the image, and pages of memory that only it uses. Its
 * tables lie in the snapshot's memory, so that a machine finds them there; not in the image, which
 * some processors want to be writable when they walk through it. Accessed and dirty bits are
 * set from the start: nobody then ever writes to a table page. Each exception has a stub of one
 * instruction that stops the vCPU; there is no other code for ring 0.
 * Trust boundary: none yet, no guest code has run. Later the tables protect the guest from itself
 * only: the VMM does not rely on them.
 *
 *   0x00000 PML4   0x01000 PDPT   0x02000 PD (8 of RAM)   0x0a000 PD (8 of the image)
 *   0x12000 PT (8 of the kernel)  0x1a000 IDT  0x1b000 GDT  0x1c000 TSS and I/O bitmap (3 pages)
 *   0x20000 stubs  0x30000 exception stack (top)
 *   0x30000 PD (of the library window)  0x31000 PT (200 of it)
 */
#include <stdlib.h>
#include <string.h>

#include "../../../../guest/kernel/image_libraries.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "machine.h"

#define PML4_OFFSET 0x00000u
#define PDPT_OFFSET 0x01000u
#define PD_RAM_OFFSET 0x02000u
#define PD_IMAGE_OFFSET 0x0a000u
#define PT_KERNEL_OFFSET 0x12000u
#define IDT_OFFSET 0x1a000u
#define GDT_OFFSET 0x1b000u
#define TSS_OFFSET 0x1c000u
#define STUBS_OFFSET 0x20000u
#define STACK_TOP_OFFSET 0x30000u
#define PD_LIBRARY_OFFSET 0x30000u
#define PT_LIBRARY_OFFSET 0x31000u

#define PTE_PRESENT 0x01u
#define PTE_WRITE 0x02u
#define PTE_USER 0x04u
#define PTE_ACCESSED 0x20u
#define PTE_DIRTY 0x40u
#define PTE_LARGE 0x80u
#define PTE_NO_EXECUTE (UINT64_C(1) << 63)
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define PTE_LEAF (PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

#define GIB UINT64_C(0x40000000)
#define KERNEL_SELECTOR 0x10u
#define TSS_SELECTOR 0x40u
#define TSS_LIMIT 0x2068u /* with an I/O bitmap of all ports, all allowed */

static uint64_t table_address(uint32_t offset)
{
	return GUEST_KERNEL_BASE + offset;
}

static void fill_large(uint64_t *entries, uint64_t start, uint64_t end, uint64_t bits)
{
	for (uint64_t at = start; at < end; at += GUEST_LARGE_PAGE_BYTES)
		entries[at / GUEST_LARGE_PAGE_BYTES] = at | bits | PTE_LEAF | PTE_LARGE;
}

/* Every 4 KiB page of the kernel's area: tables for ring 0, text read-only, data not executable. */
static void fill_kernel_pages(uint64_t *entries, uint64_t text_end)
{
	for (uint64_t offset = 0; offset < GUEST_KERNEL_BYTES; offset += GUEST_PAGE_BYTES) {
		uint64_t *entry = &entries[offset / GUEST_PAGE_BYTES];
		uint64_t address = GUEST_KERNEL_BASE + offset;

		*entry = address | PTE_LEAF;
		if (offset < GUEST_BOOT_INFO_OFFSET)
			*entry = (*entry & ~(uint64_t)PTE_USER) | PTE_WRITE;
		else if (offset < GUEST_KERNEL_IMAGE_OFFSET || address >= text_end)
			*entry |= PTE_WRITE | PTE_NO_EXECUTE;
	}
}

static void write_page_tables(uint8_t *base, uint64_t image_bytes, uint64_t text_end)
{
	uint64_t *pml4 = (uint64_t *)(void *)(base + PML4_OFFSET);
	uint64_t *pdpt = (uint64_t *)(void *)(base + PDPT_OFFSET);
	uint64_t *ram = (uint64_t *)(void *)(base + PD_RAM_OFFSET);
	uint64_t *image = (uint64_t *)(void *)(base + PD_IMAGE_OFFSET);
	uint64_t image_end =
		(image_bytes + GUEST_LARGE_PAGE_BYTES - 1) & ~(GUEST_LARGE_PAGE_BYTES - 1);

	pml4[0] = table_address(PDPT_OFFSET) | PTE_TABLE;
	for (uint32_t i = 0; i < GUEST_POOL_MAX_END / GIB; i++)
		pdpt[i] = table_address(PD_RAM_OFFSET + i * GUEST_PAGE_BYTES) | PTE_TABLE;
	for (uint32_t i = 0; i < GUEST_IMAGE_MAX_BYTES / GIB; i++)
		pdpt[GUEST_IMAGE_BASE / GIB + i] =
			table_address(PD_IMAGE_OFFSET + i * GUEST_PAGE_BYTES) | PTE_TABLE;
	fill_large(ram, GUEST_PROGRAM_BASE, GUEST_GUARD_BASE, PTE_WRITE);
	fill_large(ram, GUEST_POOL_BASE, GUEST_POOL_MAX_END, PTE_WRITE);
	for (uint32_t i = 0; i < GUEST_KERNEL_BYTES / GUEST_LARGE_PAGE_BYTES; i++)
		ram[GUEST_KERNEL_BASE / GUEST_LARGE_PAGE_BYTES + i] =
			table_address(PT_KERNEL_OFFSET + i * GUEST_PAGE_BYTES) | PTE_TABLE;
	fill_kernel_pages((uint64_t *)(void *)(base + PT_KERNEL_OFFSET), text_end);
	for (uint64_t at = 0; at < image_end; at += GUEST_LARGE_PAGE_BYTES)
		image[at / GUEST_LARGE_PAGE_BYTES] = (GUEST_IMAGE_BASE + at) | PTE_LEAF | PTE_LARGE;
}

_Static_assert(PT_LIBRARY_OFFSET + GUEST_LIBRARY_MAX_BYTES / GUEST_LARGE_PAGE_BYTES *
					   GUEST_PAGE_BYTES <=
		       GUEST_BOOT_INFO_OFFSET,
	       "no room for the library window's tables");
_Static_assert(GUEST_LIBRARY_BASE % GIB == 0 && GUEST_LIBRARY_MAX_BYTES <= GIB,
	       "the library window has one page directory");

static void fill_library_part(uint64_t *entries, const struct image_part *part)
{
	bool write = part->flags & IMAGE_PART_WRITE;
	uint64_t target = (write ? GUEST_LIBRARY_RAM : GUEST_IMAGE_BASE) + part->source;
	uint64_t bits = PTE_LEAF | (write ? PTE_WRITE : 0) |
			(part->flags & IMAGE_PART_EXEC ? 0 : PTE_NO_EXECUTE);

	for (uint64_t at = 0; at < part->bytes; at += GUEST_PAGE_BYTES)
		entries[(part->start + at) / GUEST_PAGE_BYTES] = (target + at) | bits;
}

static void write_library_tables(uint8_t *base, const struct image_libraries *libraries)
{
	uint64_t *pdpt = (uint64_t *)(void *)(base + PDPT_OFFSET);
	uint64_t *directory = (uint64_t *)(void *)(base + PD_LIBRARY_OFFSET);
	uint64_t *entries = (uint64_t *)(void *)(base + PT_LIBRARY_OFFSET);

	pdpt[GUEST_LIBRARY_BASE / GIB] = table_address(PD_LIBRARY_OFFSET) | PTE_TABLE;
	for (uint32_t i = 0; i * GUEST_LARGE_PAGE_BYTES < libraries->bytes; i++)
		directory[i] = table_address(PT_LIBRARY_OFFSET + i * GUEST_PAGE_BYTES) | PTE_TABLE;
	for (uint32_t i = 0; i < libraries->part_count; i++)
		fill_library_part(entries, &libraries->parts[i]);
}

void machine_protect_text(struct memory *memory, uint64_t start, uint64_t end)
{
	uint8_t *base = memory_claim(memory, GUEST_KERNEL_BASE, GUEST_BOOT_INFO_OFFSET);
	uint64_t *ram;

	if (!base)
		return;
	ram = (uint64_t *)(void *)(base + PD_RAM_OFFSET);
	for (uint64_t at = start; at < end; at += GUEST_LARGE_PAGE_BYTES)
		ram[at / GUEST_LARGE_PAGE_BYTES] &= ~(uint64_t)PTE_WRITE;
}

static void put16(uint8_t *at, uint64_t value)
{
	const uint16_t word = (uint16_t)value;

	memcpy(at, &word, sizeof(word));
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Breakpoints may be raised by programs (int3), all others by the processor only. */
static void write_stubs(uint8_t *base)
{
	static const uint8_t stub[] = {0xe6, EXCEPTION_PORT, 0xf4}; /* out %al, $port; hlt */

	for (uint32_t vector = 0; vector < 256; vector++) {
		uint8_t *gate = base + IDT_OFFSET + vector * 16;
		uint64_t target = MACHINE_STUBS + vector * MACHINE_STUB_BYTES;

		put16(gate, target);
		put16(gate + 2, KERNEL_SELECTOR);
		gate[5] = vector == 3 || vector == 4 ? 0xee : 0x8e;
		put16(gate + 6, target >> 16);
		memcpy(base + STUBS_OFFSET + vector * MACHINE_STUB_BYTES, stub, sizeof(stub));
	}
}

static void write_segments(uint8_t *base)
{
	uint8_t *gdt = base + GDT_OFFSET;
	uint8_t *tss = base + TSS_OFFSET;
	uint64_t at = table_address(TSS_OFFSET);

	put64(gdt + 0x10, UINT64_C(0x00af9b000000ffff)); /* ring 0: code, data */
	put64(gdt + 0x18, UINT64_C(0x00cf93000000ffff));
	put64(gdt + 0x20, UINT64_C(0x00cffb000000ffff)); /* ring 3: 32-bit code, data, code */
	put64(gdt + 0x28, UINT64_C(0x00cff3000000ffff));
	put64(gdt + 0x30, UINT64_C(0x00affb000000ffff));
	put64(gdt + TSS_SELECTOR, UINT64_C(0x0000890000000000) | TSS_LIMIT | (at & 0xffffff) << 16 |
					  (at >> 24 & 0xff) << 56);
	put64(gdt + TSS_SELECTOR + 8, at >> 32);
	put64(tss + 4, table_address(STACK_TOP_OFFSET));
	put16(tss + 0x66, 0x68); /* the bitmap begins behind the TSS; zeroes allow */
	tss[0x2068] = 0xff;
}

int machine_write_tables(struct memory *memory, const struct image_libraries *libraries,
			 struct psb_error *err)
{
	struct kernel_header header;
	uint8_t *base = memory_claim(memory, GUEST_KERNEL_BASE, GUEST_BOOT_INFO_OFFSET);

	if (!base || !memory_read(memory, GUEST_KERNEL_IMAGE, &header, sizeof(header)) ||
	    header.magic != KERNEL_HEADER_MAGIC || header.abi_version != GUEST_ABI_VERSION)
		return psb_fail(
			err, PSB_E_ENGINE, 0,
			"vmm: the guest kernel is not of this version; reinstall pysandbox");
	write_page_tables(base, memory->image_bytes,
			  (header.text_end + GUEST_PAGE_BYTES - 1) &
				  ~(uint64_t)(GUEST_PAGE_BYTES - 1));
	write_library_tables(base, libraries);
	write_stubs(base);
	write_segments(base);
	return 0;
}

static struct kvm_segment user_segment(uint16_t selector, uint8_t type, bool code)
{
	return (struct kvm_segment){.limit = 0xffffffff,
				    .selector = selector,
				    .type = type,
				    .present = 1,
				    .dpl = 3,
				    .db = !code,
				    .s = 1,
				    .l = code,
				    .g = 1};
}

void machine_enter_user(struct machine *machine, uint64_t rip, uint64_t rsp)
{
	struct kvm_run *run = machine->run;

	run->s.regs.regs.rip = rip;
	run->s.regs.regs.rsp = rsp;
	run->s.regs.regs.rflags = 0x3002; /* all ports open to ring 3 */
	run->s.regs.sregs.cs = user_segment(GUEST_USER_CS, 11, true);
	run->s.regs.sregs.ss = user_segment(GUEST_USER_SS, 3, false);
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

/* Fields that are not set here are as a reset leaves them. */
static void fill_sregs(const struct machine *machine, struct kvm_sregs *sregs)
{
	sregs->cr0 = 0x80050033; /* PG, AM, WP, NE, ET, MP, PE */
	sregs->cr3 = table_address(PML4_OFFSET);
	sregs->cr4 = 0x620 | machine->cr4_features; /* OSXMMEXCPT, OSFXSR, PAE */
	sregs->efer = 0xd01;                        /* NXE, LMA, LME, SCE */
	sregs->cs = user_segment(GUEST_USER_CS, 11, true);
	sregs->ss = user_segment(GUEST_USER_SS, 3, false);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = user_segment(0, 3, false);
	sregs->gdt = (struct kvm_dtable){.base = table_address(GDT_OFFSET), .limit = 0x4f};
	sregs->idt = (struct kvm_dtable){.base = table_address(IDT_OFFSET), .limit = 0xfff};
	sregs->tr = (struct kvm_segment){.base = table_address(TSS_OFFSET),
					 .limit = TSS_LIMIT,
					 .selector = TSS_SELECTOR,
					 .type = 11,
					 .present = 1};
}

int machine_set_boot_state(struct machine *machine, struct psb_error *err)
{
	auto_free struct machine_state *state = calloc(1, sizeof(*state));
	int rc;

	if (!state)
		return psb_fail(err, PSB_E_MEMORY, 0, "vmm: out of memory");
	rc = machine_get_state(machine, state, err);
	if (rc < 0)
		return rc;
	fill_sregs(machine, &state->sregs);
	state->regs = (struct kvm_regs){.rip = machine->kernel.boot_entry,
					.rsp = machine->kernel.boot_stack,
					.rflags = 0x3002};
	state->xcrs = (struct kvm_xcrs){.nr_xcrs = machine->xcr0 ? 1 : 0};
	state->xcrs.xcrs[0].value = machine->xcr0;
	state->msr_count = 3;
	state->msrs[0] = (struct kvm_msr_entry){.index = 0xc0000081, /* STAR */
						.data = UINT64_C(0x0023001000000000)};
	state->msrs[1] = (struct kvm_msr_entry){.index = 0xc0000082, /* LSTAR */
						.data = machine->kernel.syscall_entry};
	state->msrs[2] = (struct kvm_msr_entry){.index = 0xc0000084, .data = 0x47700};
	return machine_set_state(machine, state, err);
}
