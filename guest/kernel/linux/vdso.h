/*
 * The shared object that Linux maps into every program, so that reading the clock is no system call.
 */
#ifndef PSB_KERNEL_VDSO_H
#define PSB_KERNEL_VDSO_H

#include <elf.h>
#include <stdint.h>

#define VDSO_SYMBOLS 3u
#define VDSO_TEXT_BYTES 96u

struct vdso_symbol {
	const char *name;
	uint64_t address;
};

/* As the dynamic loader finds it: all addresses are absolute. */
struct vdso {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Dyn dynamic[7];
	Elf64_Sym symbols[1 + VDSO_SYMBOLS];
	uint32_t hash[2 + 1 + 1 + VDSO_SYMBOLS]; /* one bucket, chained through all symbols */
	char text[VDSO_TEXT_BYTES];
};

/* What the functions read. The kernel writes it while no program runs, but a program may have been
 * stopped in the middle of reading: hence the number. */
struct user_clock {
	uint64_t writes;
	uint64_t base_tsc;
	uint64_t multiplier;
	uint64_t steady_base_ns;
	uint64_t wall_base_ns;
};

/* The functions of x86/user_clock.c; a NULL name ends fewer than VDSO_SYMBOLS. */
void vdso_build(struct vdso *vdso, const struct vdso_symbol symbols[VDSO_SYMBOLS]);

#endif
