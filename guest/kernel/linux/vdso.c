/*
 * Theory of operation: the C library looks for clock_gettime() in an ELF object whose address it is
 * given in the auxiliary vector, and calls the kernel only without one. A system call costs
 * microseconds on a KVM that emulates ring 0, and CPython reads the clock at every lock it takes. The
 * object has no code of its own: its symbols are functions in the kernel's pages, which programs may
 * execute. It is written once, before the program is loaded.
 * Trust boundary: none; no guest input.
 */
#include "vdso.h"

#include "kernel.h"

#define NAME "linux-vdso.so.1"

static uint32_t add_text(struct vdso *vdso, uint32_t *used, const char *text)
{
	uint32_t at = *used;
	uint64_t bytes = strlen(text) + 1;

	if (bytes > sizeof(vdso->text) - at)
		return 0;
	memcpy(vdso->text + at, text, bytes);
	*used += (uint32_t)bytes;
	return at;
}

static void fill_headers(struct vdso *vdso)
{
	static const uint8_t ident[EI_NIDENT] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
						 ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
	uint64_t base = address_of(vdso);

	vdso->header = (Elf64_Ehdr){
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = offsetof(struct vdso, segments),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	memcpy(vdso->header.e_ident, ident, sizeof(ident));
	vdso->segments[0] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R,
		.p_vaddr = base,
		.p_filesz = sizeof(*vdso),
		.p_memsz = sizeof(*vdso),
	};
	vdso->segments[1] = (Elf64_Phdr){
		.p_type = PT_DYNAMIC,
		.p_flags = PF_R,
		.p_offset = offsetof(struct vdso, dynamic),
		.p_vaddr = address_of(vdso->dynamic),
		.p_filesz = sizeof(vdso->dynamic),
		.p_memsz = sizeof(vdso->dynamic),
	};
}

static void fill_dynamic(struct vdso *vdso, uint32_t name)
{
	const uint64_t rows[][2] = {
		{DT_SONAME, name},
		{DT_HASH, address_of(vdso->hash)},
		{DT_STRTAB, address_of(vdso->text)},
		{DT_SYMTAB, address_of(vdso->symbols)},
		{DT_STRSZ, sizeof(vdso->text)},
		{DT_SYMENT, sizeof(Elf64_Sym)},
		{DT_NULL, 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		vdso->dynamic[i].d_tag = (Elf64_Sxword)rows[i][0];
		vdso->dynamic[i].d_un.d_val = rows[i][1];
	}
}

static void fill_symbols(struct vdso *vdso, const struct vdso_symbol symbols[VDSO_SYMBOLS],
			 uint32_t *used)
{
	uint32_t count = 1;

	for (uint32_t i = 0; i < VDSO_SYMBOLS && symbols[i].name; i++, count++)
		vdso->symbols[count] = (Elf64_Sym){
			.st_name = add_text(vdso, used, symbols[i].name),
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = SHN_ABS,
			.st_value = symbols[i].address,
		};
	vdso->hash[0] = 1;
	vdso->hash[1] = count;
	vdso->hash[2] = count > 1 ? 1 : 0;
	for (uint32_t i = 1; i + 1 < count; i++)
		vdso->hash[3 + i] = i + 1;
}

void vdso_build(struct vdso *vdso, const struct vdso_symbol symbols[VDSO_SYMBOLS])
{
	uint32_t used = 1; /* offset 0 is the name of nothing */

	memset(vdso, 0, sizeof(*vdso));
	fill_headers(vdso);
	fill_dynamic(vdso, add_text(vdso, &used, NAME));
	fill_symbols(vdso, symbols, &used);
}
