"""The command's link line is its own where musl is there: static, at a random address, with no
executable stack, and with stacks for its threads as large as a glibc program's."""

import struct
import sys

ET_DYN = 3
PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 2, 3, 0x6474e551
PF_X = 1
DT_TEXTREL, DT_FLAGS = 22, 30
DF_TEXTREL = 4
THREAD_STACK_BYTES = 8 << 20


def segments(image):
    offset, size, count = struct.unpack_from("<Q", image, 32) + struct.unpack_from("<HH", image, 54)
    for i in range(count):
        kind, flags, start, _, _, file_bytes, memory_bytes, _ = struct.unpack_from(
            "<IIQQQQQQ", image, offset + i * size)
        yield kind, flags, image[start:start + file_bytes], memory_bytes


def has_text_relocations(dynamic):
    return any(tag == DT_TEXTREL or (tag == DT_FLAGS and value & DF_TEXTREL)
               for tag, value in struct.iter_unpack("<QQ", dynamic))


def main(path, musl):
    with open(path, "rb") as file:
        image = file.read()
    assert image[:5] == b"\x7fELF\x02", "a 64-bit program"
    assert struct.unpack_from("<H", image, 16)[0] == ET_DYN, "linked for a fixed address"
    stacks = []
    for kind, flags, contents, memory_bytes in segments(image):
        assert kind != PT_INTERP, f"needs {contents!r} to start"
        if kind == PT_DYNAMIC:
            assert not has_text_relocations(contents), "its code would have to be written to"
        if kind == PT_GNU_STACK:
            assert not flags & PF_X, "an executable stack"
            stacks.append(memory_bytes)
    assert len(stacks) == 1, "it says nothing about its stack"
    # glibc asks for RLIMIT_STACK.
    assert not musl or stacks[0] == THREAD_STACK_BYTES, f"threads' stacks of {stacks[0]} bytes"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "musl")
