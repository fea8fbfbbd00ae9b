/*
 * Holds the assembler's numbers (offsets.h) and the layouts of abi.h together. No code.
 * Trust boundary: none; all of it is decided when compiling.
 */
#include <stddef.h>

#include "../abi.h"
#include "offsets.h"

_Static_assert(OFFSETS_COMM == GUEST_COMM, "offsets.h: comm");
_Static_assert(REGISTERS_BYTES == sizeof(struct guest_registers), "offsets.h: registers");
_Static_assert(COMM_TRAP_REGISTERS ==
		       offsetof(struct comm, trap) + offsetof(struct trap_info, regs),
	       "offsets.h: trap");
_Static_assert(sizeof(struct boot_info) <= GUEST_RUN_INFO_OFFSET - GUEST_BOOT_INFO_OFFSET,
	       "boot_info is over its pages");
_Static_assert(sizeof(struct run_info) <= GUEST_PAGE_BYTES, "run_info is over its page");
_Static_assert(sizeof(struct comm) <= GUEST_PAGE_BYTES, "comm is over its page");
