"""Processes, threads and descriptors: bombs fizzle within their limits."""
import psbtest
import pytest

FORKS = {"ok", "error", "timeout", "cpu_limit", "process_limit", "memory_limit", "exit", "crash"}

BOMBS = {
    "fork_bomb": ("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
                  {"timeout", "cpu_limit", "process_limit", "memory_limit"}),
    "fork_bomb_by_call": ("""
import ctypes
libc = ctypes.CDLL(None)
while True:
    libc.fork()
""", {"timeout", "cpu_limit", "process_limit", "memory_limit", "error"}),
    "vfork_bomb": ("""
import ctypes
libc = ctypes.CDLL(None)
for _ in range(100000):
    libc.syscall(56, 17, 0, 0, 0, 0)
""", FORKS),
    "polite_fork_bomb": ("import os\nwhile True:\n    os.fork()", FORKS),
    "double_forks": ("""
import os
for _ in range(200):
    if os.fork() == 0:
        if os.fork() == 0:
            while True:
                os.read(os.pipe()[0], 1)
        os._exit(0)
""", FORKS),
    "zombies": ("""
import os
while True:
    if os.fork() == 0:
        os._exit(0)
""", FORKS),
    "thread_bomb": ("""
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(1000,)).start()
""", {"error", "process_limit", "memory_limit", "timeout"}),
    "stubborn_thread_bomb": ("""
import threading, time
while True:
    try:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    except RuntimeError:
        pass
""", {"timeout", "cpu_limit", "process_limit", "memory_limit"}),
    "threads_that_fork": ("""
import os, threading, time
def go():
    while True:
        try:
            if os.fork() == 0:
                time.sleep(1000)
        except OSError:
            time.sleep(0.01)
for _ in range(6):
    threading.Thread(target=go).start()
""", {"timeout", "cpu_limit", "process_limit", "memory_limit"}),
    "children_that_exit_the_parent": ("""
import os, signal
for _ in range(5):
    try:
        if os.fork() == 0:
            os.kill(os.getppid(), signal.SIGKILL)
    except OSError:
        pass
import time
time.sleep(1000)
""", {"timeout", "crash", "error", "unknown"}),
}

DESCRIPTORS = {
    "open": "keep = []\nwhile True:\n    keep.append(open('/dev/null'))",
    "pipes": "import os\nwhile True:\n    os.pipe()",
    "dup": "import os\nwhile True:\n    os.dup(1)",
    "directories": "import os\nwhile True:\n    os.open('.', os.O_RDONLY)",
    "epoll": "import select\nkeep = []\nwhile True:\n    keep.append(select.epoll())",
    "socketpairs": "import socket\nkeep = []\nwhile True:\n    keep.append(socket.socketpair())",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(exhaust, name):
    code, statuses = BOMBS[name]
    exhaust.run(code, statuses)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptors(exhaust, name):
    run = exhaust.run(DESCRIPTORS[name], {"error"}, timeout=3.0)
    if exhaust.config.imports == "on" and name == "socketpairs":
        return
    assert run.error["type"] == "OSError" and "open_files" in run.outcome["limits_hit"], str(run)


def test_thread_limit_is_told(exhaust):
    code = """
import threading
stop = threading.Event()
try:
    for _ in range(200):
        threading.Thread(target=stop.wait).start()
finally:
    stop.set()
"""
    run = exhaust.run(code, {"error", "process_limit"}, timeout=3.0, args=["--processes", "16"])
    if run.status == "error":
        assert run.error["type"] == "RuntimeError"
        assert "processes" in run.outcome["limits_hit"], str(run)


def test_threads_without_room_are_no_process_limit(exhaust):
    code = """
import threading, time
threading.stack_size(64 << 20)
for _ in range(50):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
    run = exhaust.run(code, {"error"}, timeout=3.0)
    assert run.error["type"] == "RuntimeError" and run.outcome["limits_hit"] == ["memory"], str(run)


def test_a_read_that_would_block_is_no_limit(exhaust):
    code = "import os\nr, w = os.pipe()\nos.set_blocking(r, False)\nos.read(r, 1)\n"
    run = exhaust.run(code, {"error"})
    assert run.error["type"] == "BlockingIOError" and run.outcome["limits_hit"] == [], str(run)


EIGHT_THREADS = """
import threading
ready = threading.Barrier(9)
threads = [threading.Thread(target=ready.wait, args=(2,)) for _ in range(8)]
for thread in threads:
    thread.start()
ready.wait(2)
result = 8
"""


def test_eight_honest_threads(exhaust):
    assert exhaust.run(EIGHT_THREADS, {"ok"}, timeout=3.0).result == 8


def test_other_processes_of_the_user_do_not_count(exhaust):
    """RLIMIT_NPROC counts whatever the user runs, not what the instance does."""
    others = [psbtest.spawn(["/bin/sleep", "60"], exhaust.config) for _ in range(80)]
    try:
        assert exhaust.run(EIGHT_THREADS, {"ok"}, timeout=3.0, leaves=False).result == 8
    finally:
        for other in others:
            other.kill()
            other.communicate()


def test_pipes_filled(exhaust):
    """Unread data in many pipes is the guest's own loss."""
    code = """
import os
try:
    while True:
        r, w = os.pipe()
        os.set_blocking(w, False)
        os.write(w, b"x" * (1 << 16))
except OSError as problem:
    result = problem.errno
"""
    run = exhaust.run(code, {"ok", "memory_limit"}, timeout=3.0)
    assert run.result in (None, 24, 11)
