"""Memory: every way to ask for too much ends in MemoryError or memory_limit, and the host is well."""
import psbtest
import pytest

HARD = "memory_limit"
MEMORY = {
    "bytearray": "keep = []\nwhile True:\n    keep.append(bytearray(1 << 22))",
    "one_huge": "x = bytearray(1 << 33)\nx[::4096] = b'x' * len(x[::4096])",
    "small_objects": "keep = []\nwhile True:\n    keep.append([len(keep)])",
    "dict": "keep = {}\nwhile True:\n    keep[len(keep)] = str(len(keep))",
    "string_doubling": "text = 'x'\nwhile True:\n    text += text",
    "list_multiply": "x = [0] * (1 << 30)",
    "bignum": "x = 1 << (1 << 34)",
    "mmap_private": """
import mmap
keep = []
while True:
    keep.append(mmap.mmap(-1, 1 << 22, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    keep[-1][::4096] = b"x" * 1024
""",
    "mmap_shared": """
import mmap
keep = []
while True:
    keep.append(mmap.mmap(-1, 1 << 22))
    keep[-1][::4096] = b"x" * 1024
""",
    "threads_together": """
import threading
def eat():
    keep = []
    while True:
        keep.append(bytearray(1 << 20))
threads = [threading.Thread(target=eat) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
raise MemoryError("all threads met the limit")
""",
    "generator_frames": """
def nest(inner):
    yield from inner
keep = []
while True:
    keep.append(nest(iter(range(10))))
    next(keep[-1])
""",
    "catching": """
keep = []
failed = 0
while failed < 200:
    try:
        keep.append(bytearray(1 << 20))
    except MemoryError:
        failed += 1
raise MemoryError
""",
    "json_text": "import json\nx = json.loads('[' + '0,' * (1 << 27) + '0]')",
    "format_width": "x = '%*d' % (1 << 33, 1)",
    "zip_bomb": """
import zlib
data = zlib.compress(bytes(1 << 20))
keep = []
while True:
    keep.append(zlib.decompress(data))
""",
}

FILES = {
    "memfd": """
import os
fd = os.memfd_create("x")
while True:
    os.write(fd, b"x" * (1 << 20))
""",
    "unlinked_files": """
import os
keep = []
while True:
    keep.append(open("x", "wb"))
    os.unlink("x")
    for _ in range(16):
        keep[-1].write(b"x" * (1 << 20))
""",
}


def assert_told(run):
    """Which limit it was is told, by status or by exception and limits_hit."""
    if run.status == "memory_limit":
        assert run.limit == "memory" and run.exit_code == 137
    elif run.status == "error":
        # mmap says ENOMEM; a thread that gets no stack is a RuntimeError.
        kinds = ("MemoryError", "OverflowError", "error", "OSError", "RuntimeError")
        assert run.error["type"] in kinds, str(run)
        assert run.error["type"] != "MemoryError" or "memory" in run.outcome["limits_hit"], str(run)


@pytest.mark.parametrize("name", MEMORY)
def test_memory(exhaust, name):
    run = exhaust.run(MEMORY[name], {"memory_limit", "error"}, timeout=4.0, memory="64M")
    assert_told(run)
    assert run.usage["memory_peak_bytes"] <= 80 << 20, str(run)


@pytest.mark.parametrize("name", FILES)
def test_memory_as_files(exhaust, name):
    statuses = {"memory_limit", "disk_limit", "error"}
    if exhaust.config.rung in ("C", "D") and name == "unlinked_files":
        statuses |= {"timeout", "cpu_limit"}  # each file is capped, their sum is not
    run = exhaust.run(FILES[name], statuses, timeout=1.5, memory="128M")
    if run.status == "error":
        assert run.error["type"] in ("OSError", "MemoryError", "PermissionError"), str(run)


def test_numpy(exhaust):
    pytest.importorskip("numpy")
    code = """
import numpy
keep = []
while True:
    keep.append(numpy.ones(1 << 20))
"""
    run = exhaust.run(code, {"memory_limit", "error"}, timeout=6.0, memory="192M",
                      args=["--preload", "numpy"])
    assert_told(run)


def test_fork_does_not_multiply_memory(exhaust):
    """Children together stay beneath the limit, or there are none, or each has its own cap on what
    the rung says it cannot count together; in any case it ends at the wall."""
    code = """
import os, time
for _ in range(6):
    try:
        if os.fork() == 0:
            keep = bytearray(40 << 20)
            keep[::4096] = b"x" * len(keep[::4096])
            time.sleep(100)
    except OSError:
        pass
time.sleep(100)
"""
    run = exhaust.run(code, {"memory_limit", "timeout", "error"}, timeout=1.5, memory="64M")
    if exhaust.config.rung == "A" and psbtest.ENGINE == "native":
        assert run.status == "memory_limit", str(run)


def test_honest_use_fits(exhaust):
    """Most of the limit is the program's own: what the runner needs is not counted against it."""
    code = "x = bytearray(48 << 20)\nx[::4096] = b'x' * len(x[::4096])\nresult = len(x)"
    run = exhaust.run(code, {"ok"}, timeout=3.0, memory="64M")
    assert run.result == 48 << 20
    assert 40 << 20 <= run.usage["memory_peak_bytes"] <= 72 << 20, str(run)


RECURSION = {
    "function": ("def f():\n    f()\nf()", {"error"}, "RecursionError"),
    "without_limit": ("import sys\nsys.setrecursionlimit(1 << 30)\ndef f():\n    f()\nf()",
                      {"crash", "error", "memory_limit", "timeout", "cpu_limit"}, None),
    "json_loads": ("import json\njson.loads('[' * 200000)", {"error"}, None),
    "json_dumps": ("import json\nx = []\nfor _ in range(200000):\n    x = [x]\njson.dumps(x)",
                   {"error", "crash"}, None),
    "repr": ("x = []\nfor _ in range(200000):\n    x = [x]\nrepr(x)", {"error"}, "RecursionError"),
    "equality": ("a, b = [], []\na.append(b)\nb.append(a)\na == b", {"error"}, "RecursionError"),
    "pickle": ("import pickle\nx = []\nfor _ in range(200000):\n    x = [x]\npickle.dumps(x)",
               {"error", "crash"}, None),
    "ast": ("import ast\nast.parse('(' * 100000)", {"error", "crash"}, None),
    "ast_operators": ("import ast\nast.parse('-' * 100000 + '1')", {"error", "crash"}, None),
    "compile_attributes": ("compile('x' + '.a' * 200000, 'x', 'exec')", {"error", "crash"}, None),
    "source_itself": ("(" * 5000 + ")" * 5000, {"error"}, None),
    "regex": ("import re\nre.compile('(' * 5000 + ')' * 5000)", {"error", "crash"}, None),
    "deep_isinstance": ("t = int\nfor _ in range(100000):\n    t = (t,)\nisinstance('x', t)",
                        {"error", "crash"}, None),
    "dealloc": ("x = None\nfor _ in range(1000000):\n    x = (x,)\ndel x\nresult = 1",
                {"ok", "memory_limit"}, None),
    "in_thread": ("""
import sys, threading
sys.setrecursionlimit(1 << 30)
def f():
    f()
thread = threading.Thread(target=f)
thread.start()
thread.join()
""", {"crash", "ok", "error", "memory_limit", "timeout", "cpu_limit"}, None),
}


@pytest.mark.parametrize("name", RECURSION)
def test_recursion(exhaust, name):
    code, statuses, kind = RECURSION[name]
    run = exhaust.run(code, statuses, timeout=2.0)
    if run.status == "crash":
        assert run.signal in (6, 7, 11) and run.exit_code == 70, str(run)
    if kind and run.status == "error":
        assert run.error["type"] == kind
