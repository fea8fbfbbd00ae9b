"""The host's static programs: what their start relocates is read-only while they run."""
import os
import pathlib
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

PT_LOAD, PT_GNU_RELRO = 1, 0x6474e552
PAGE_BYTES = 4096
OURS = {"native": {"pysandbox", "pysandbox-keeper"}, "microvm": {"pysandbox", "pysandbox-vmm"}}

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="needs root, to look into processes that are not dumpable")


def program_headers(path):
    """type -> (address, bytes) of the first of each."""
    image = pathlib.Path(path).read_bytes()
    offset, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    found = {}
    for i in range(count):
        kind, _, _, address, _, _, memory_bytes, _ = struct.unpack_from("<IIQQQQQQ", image, offset + i * size)
        found.setdefault(kind, (address, memory_bytes))
    return found


def mappings(pid):
    """(start, end, rights, path), as they lie."""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        words = line.split(maxsplit=5)
        start, end = (int(word, 16) for word in words[0].split("-"))
        found.append((start, end, words[1], words[5] if len(words) > 5 else ""))
    return found


def relocated_rights(pid):
    """The rights of every mapping in the span."""
    path = os.readlink(f"/proc/{pid}/exe")
    headers = program_headers(path)
    base = next(start for start, _, _, name in mappings(pid) if name == path)
    base -= headers[PT_LOAD][0] // PAGE_BYTES * PAGE_BYTES
    address, size = headers[PT_GNU_RELRO]
    first = (base + address) // PAGE_BYTES * PAGE_BYTES
    end = (base + address + size) // PAGE_BYTES * PAGE_BYTES
    assert first < end
    return {rights for start, stop, rights, _ in mappings(pid) if start < end and stop > first}


def our_processes():
    found = {}
    for pid in psbtest.descendants(os.getpid()):
        try:
            found.setdefault(os.path.basename(os.readlink(f"/proc/{pid}/exe")), set()).add(pid)
        except OSError:
            continue  # ended while we looked
    return found


def test_what_was_relocated_is_read_only(pysandbox):
    psbtest.become_subreaper()
    process = pysandbox.start("run", "-c", "print('runs', flush=True); import time; time.sleep(5)")
    try:
        assert process.stdout.readline() == b"runs\n"
        ours = our_processes()
        assert OURS[psbtest.ENGINE] <= set(ours)
        for name in OURS[psbtest.ENGINE]:
            for pid in ours[name]:
                assert relocated_rights(pid) == {"r--p"}, name
    finally:
        process.terminate()
        process.wait()
