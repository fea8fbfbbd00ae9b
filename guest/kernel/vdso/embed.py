"""Writes the linked vDSO as a C array: embed.py VDSO OUTPUT."""

import pathlib
import sys

PAGE_BYTES = 4096


def main():
    data = pathlib.Path(sys.argv[1]).read_bytes()
    if len(data) > PAGE_BYTES:
        sys.exit(f"the vDSO has {len(data)} bytes; the kernel gives it one page")
    lines = ["#include <stdint.h>", "",
             f"extern const uint8_t vdso_image[{PAGE_BYTES}];",
             f"const uint8_t vdso_image[{PAGE_BYTES}] = {{"]
    for at in range(0, len(data), 16):
        lines.append("\t" + " ".join(f"{byte}," for byte in data[at:at + 16]))
    lines.append("};")
    pathlib.Path(sys.argv[2]).write_text("\n".join(lines) + "\n")


main()
