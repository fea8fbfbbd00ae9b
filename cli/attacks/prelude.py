"""What every attack shares: steps that are tried in turn, raw system calls, a look at memory.

Each step reports one word to the host: `held` (refused, by which error), `reached` (it got through),
`quiet` (nothing to see from inside: the host looks at its bait), `absent` (this interpreter has no
such door) or `broken` (the attack itself is at fault, so nothing is known). The host believes the
good news only together with what it sees from outside.

No step does harm where it gets through: raw calls have arguments that the kernel refuses behind the
wall, and signals to everybody are of the kind that is ignored by default.
"""
import errno
import os
import platform
import re
import sys

try:
    import ctypes
except ImportError:
    ctypes = None

REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
# Not spelt out, or a search of our own memory would find it here.
MARK = re.compile(bytes(reversed(b"KRAMBSP")) + rb"[a-z][0-9a-f]{24}")
MOST_HITS = 16
steps = []


class Quiet(Exception):
    """Nothing came back that we could judge."""


class Absent(Exception):
    """The interpreter lacks what the attack needs."""


def step(control, kind="step"):
    """Registers an attack on a control. A `door` may also end in a crash: that is held as well."""
    def register(function):
        steps.append((function.__name__, control, kind, function))
        return function
    return register


def door(control):
    return step(control, "door")


def say(*words):
    text = " ".join(map(str, words))
    os.write(1, (ascii(text)[1:-1][:3000] + "\n").encode())


def module(name):
    try:
        return __import__(name)
    except ImportError:
        raise Absent("no module " + name) from None


def library():
    if ctypes is None:
        raise Absent("no module ctypes")
    try:
        libc = ctypes.CDLL(None, use_errno=True)
    except OSError:
        raise Absent("no C library") from None
    libc.syscall.restype = ctypes.c_long
    return libc


def need_x86_64():
    if platform.machine() != "x86_64":
        raise Absent("not an x86-64")


def call(number, *args, refused=REFUSED):
    """One raw system call. Any answer but a refusal means that the kernel has looked at it."""
    libc = library()
    need_x86_64()
    ctypes.set_errno(0)
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    value = libc.syscall(ctypes.c_long(number), *words)
    error = ctypes.get_errno()
    if value < 0 and error in refused:
        raise OSError(error, os.strerror(error))
    return f"the kernel answered {value} {errno.errorcode.get(error, error)}"


def machine(code):
    """Runs machine code, by whichever door to executable memory is open."""
    libc = library()
    need_x86_64()
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    page = libc.mmap(None, 4096, 3, 0x22, -1, 0)
    if page in (None, 2**64 - 1):
        raise Absent("no memory to write to")
    ctypes.memmove(page, code, len(code))
    if libc.mprotect(page, 4096, 5):
        raise OSError(errno.EACCES, "no executable memory")
    return ctypes.CFUNCTYPE(ctypes.c_long)(page)()


def loot(data, nothing="no secret in it"):
    """Returns the secrets in some bytes; there are none: quiet."""
    found = sorted({hit.decode() for hit in MARK.findall(data)})[:MOST_HITS]
    if not found:
        raise Quiet(nothing)
    return " ".join(found)


def peek(start, length):
    """What is readable of our own memory there; write() finds out without a fault."""
    libc = library()
    receive, send = os.pipe()
    parts, at, end = [], start & ~4095, start + length
    try:
        while at < end:
            count = libc.write(send, ctypes.c_void_p(at), 65536 - at % 65536)
            if count > 0:
                parts.append(os.read(receive, count))
            at += count if count > 0 else 4096
            at = (at + 4095) & ~4095
    finally:
        os.close(receive)
        os.close(send)
    return b"".join(parts)


def places_in_memory():
    """Heap, mappings, the C library; the stack's top with the first environment and arguments."""
    libc = library()
    for function in (libc.malloc, libc.mmap):
        function.restype = ctypes.c_void_p
    libc.getauxval.restype = ctypes.c_ulong
    block = ctypes.create_string_buffer(64)
    return [id(block), libc.malloc(64), libc.malloc(1 << 20), ctypes.addressof(block),
            ctypes.c_void_p.in_dll(libc, "environ").value or 0,
            ctypes.cast(libc.write, ctypes.c_void_p).value,
            libc.mmap(None, 4096, 3, 0x22, -1, ctypes.c_long(0)),
            libc.getauxval(25), libc.getauxval(31)]  # AT_RANDOM, AT_EXECFN


def search_memory(around=1 << 21):
    seen = b"".join(peek(max(place - around, 0), 2 * around) for place in places_in_memory())
    return loot(seen, f"searched {len(seen) >> 20} MiB of memory")


def search_descriptors():
    """Reads what each open descriptor gives; nobody's data is consumed but our own."""
    seen, count = [], 0
    for fd in range(3, 300):
        try:
            os.fstat(fd)
        except OSError:
            continue
        count += 1
        try:
            seen.append(os.pread(fd, 4096, 0))
        except OSError:
            continue  # a pipe: ours, or it would not be one
    return loot(b"".join(seen), f"searched {count} descriptors")
