/*
 * For the programs that are linked with musl. Its start relocates a static program and leaves
 * writable what it relocated: tables of functions, which the linker has put into pages of their own
 * (PT_GNU_RELRO) so that the right to write can be taken away. glibc's start does so; here it is
 * done before main().
 * Trust boundary: whoever can write to our memory finds no such table to change.
 */
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 127

static int protect(struct dl_phdr_info *program, size_t size, void *context)
{
	const uintptr_t page = (uintptr_t)getpagesize();

	(void)size;
	(void)context;
	for (size_t i = 0; i < program->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
		uintptr_t start = program->dlpi_addr + segment->p_vaddr;
		uintptr_t first = start & ~(page - 1);
		uintptr_t end = (start + segment->p_memsz) & ~(page - 1);

		if (segment->p_type == PT_GNU_RELRO &&
		    mprotect((void *)first, end - first, PROT_READ) < 0)
			return -1;
	}
	return 0;
}

__attribute__((constructor)) static void protect_relocated(void)
{
	static const char text[] = "pysandbox: mprotect of relocated data failed\n";

	if (dl_iterate_phdr(protect, NULL) == 0)
		return;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_NOT_STARTED);
}
