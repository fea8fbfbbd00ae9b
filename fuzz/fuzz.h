/* The entry point that libFuzzer, AFL++ and our replay driver share. */
#ifndef PSB_FUZZ_H
#define PSB_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
