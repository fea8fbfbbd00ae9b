/* Numbers of abi.h for the assembler; x86/check.c holds them to be the same. */
#ifndef PSB_KERNEL_OFFSETS_H
#define PSB_KERNEL_OFFSETS_H

#ifdef __ASSEMBLER__
#define GUEST_ABI_VERSION 2
#define KERNEL_HEADER_MAGIC 0x314b5f4d56425350
#define GUEST_USER_CS 0x33
#define GUEST_USER_SS 0x2b
#define HOST_CALL_PORT 0x80
#define GUEST_COMM OFFSETS_COMM
#endif

#define OFFSETS_COMM 0x02111000
#define REGISTERS_BYTES 168
#define COMM_TRAP_REGISTERS 64

#endif
