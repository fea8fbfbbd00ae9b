"""Signals, tracing and processes: nobody outside is reached, and nothing outlives the run."""
import time

import pytest
from prelude import attack

SIGNALS = {
    "kill_victim": """
import signal
for pid in (W["victim"], W["mate"], W["self"], os.getppid(), 1, 2):
    for number in (0, 9, 15, 10, 19, 29):
        if pid not in (0, os.getpid(), 1, 2) and worked(attempt(os.kill, pid, number)):
            breach("kill", pid, number)
""",
    "kill_all": """
import signal
for number in range(1, 65):
    if number not in (9, 19):
        attempt(signal.signal, number, signal.SIG_IGN)
        attempt(os.kill, -1, number)
""",
    "kill_all_now": "attempt(os.kill, -1, 9)",
    "kill_own_group": """
import signal
for number in (1, 2, 10, 12, 15, 18):
    attempt(signal.signal, number, signal.SIG_IGN)
    attempt(os.kill, 0, number)
    attempt(os.killpg, 0, number)
    attempt(os.killpg, os.getpgrp(), number)
attempt(os.kill, 0, 9)
""",
    "killpg": """
for group in (W["mate"], W["victim"], os.getsid(0) if worked(attempt(os.getsid, 0)) else 0, 1):
    for number in (10, 15, 9):
        if group > 2 and worked(attempt(os.killpg, group, number)):
            breach("killpg", group)
""",
    "thread_and_queue": """
info = ctypes.create_string_buffer(128)
for pid in (W["victim"], W["mate"], W["self"]):
    for number, *args in ((200, pid, 10), (234, pid, pid, 10), (129, pid, 10, info),
                          (297, pid, pid, 10, info), (62, pid, 10), (62, -pid, 10)):
        if call(number, *args)[0] == 0:
            breach("signal by call", number, pid)
""",
    "owner_of_a_pipe": """
import fcntl, signal
read, write = os.pipe()
for owner in (W["victim"], W["mate"], -W["mate"], -W["victim"], W["self"], os.getppid() or 1):
    attempt(fcntl.fcntl, read, fcntl.F_SETOWN, owner)
    attempt(fcntl.fcntl, read, 15, (ctypes.c_int * 2)(1, abs(owner)))
    attempt(fcntl.fcntl, read, 10, signal.SIGUSR1)
    attempt(lambda: fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK))
    os.write(write, b"x")
    for fd in range(300):
        attempt(fcntl.fcntl, fd, fcntl.F_SETOWN, owner)
        attempt(fcntl.fcntl, fd, 10, signal.SIGUSR1)
        attempt(lambda: fcntl.fcntl(fd, fcntl.F_SETFL, os.O_ASYNC))
print("x" * 1000, flush=True)
""",
    "lease_and_notify": """
import fcntl, signal
for path in (".", "/", "/usr", W["dir"], W["dir"] + "/cwd"):
    fd = attempt(os.open, path, os.O_RDONLY)
    if worked(fd):
        attempt(fcntl.fcntl, fd, fcntl.F_SETOWN, W["victim"])
        attempt(fcntl.fcntl, fd, fcntl.F_NOTIFY, 0x8000001f)
open("made", "w").close()
""",
    "timer_to_victim": """
event = (ctypes.c_int * 16)()
for notify in (0, 4):
    event[2], event[3], event[4] = 10, notify, W["victim"]
    timer = ctypes.c_int()
    result, error = call(222, 1, event, ctypes.byref(timer))
    if result == 0:
        call(223, timer.value, 0, (ctypes.c_long * 4)(0, 1, 0, 1), 0)
""",
    "message_queue_notify": """
event = (ctypes.c_int * 16)()
event[2] = 10
call(244, 3, event)
""",
    "death_signal": "call(157, 1, 9, 0, 0, 0)\ncall(157, 36, 1, 0, 0, 0)",
    "limits_of_victim": """
import resource
for pid in (W["victim"], W["mate"]):
    if worked(attempt(resource.prlimit, pid, resource.RLIMIT_NOFILE, (1, 1))):
        breach("prlimit", pid)
    if worked(attempt(os.setpriority, os.PRIO_PROCESS, pid, 19)):
        breach("setpriority", pid)
    if worked(attempt(os.sched_setaffinity, pid, [0])):
        breach("affinity", pid)
    call(251, 1, pid, 3 << 13)
""",
}

MEMORY = {
    "ptrace": """
for request in (16, 0x4206):
    for pid in (W["victim"], W["mate"], os.getppid(), 1):
        if call(101, request, pid, 0, 0)[0] == 0:
            breach("ptrace", pid)
""",
    "process_vm": """
buffer = ctypes.create_string_buffer(64)
local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 30)
remote = (ctypes.c_uint64 * 2)(W["address"], 30)
for pid in (W["victim"], W["mate"], os.getppid(), 1):
    call(310, pid, local, 1, remote, 1, 0)
    print(buffer.raw)
    call(311, pid, local, 1, remote, 1, 0)
""",
    "pidfd_getfd": """
for pid in (W["victim"], W["mate"], W["self"], 1, os.getppid()):
    pidfd, error = call(434, pid, 0)
    if pidfd >= 0:
        for fd in range(32):
            stolen, error = call(438, pidfd, fd, 0)
            if stolen >= 0:
                breach("pidfd_getfd", pid, fd)
        if call(424, pidfd, 10, 0, 0)[0] == 0 and pid == W["victim"]:
            breach("pidfd_send_signal")
""",
    "proc_mem": """
for pid in (W["victim"], W["mate"], 1):
    fd = attempt(os.open, f"/proc/{pid}/mem", os.O_RDWR)
    if worked(fd):
        print(os.pread(fd, 64, W["address"]))
        os.pwrite(fd, b"owned", W["address"])
""",
    "parent": """
# The zygote and the namespace's init are nobody's to debug.
for pid in range(1, 40):
    if pid != os.getpid() and call(101, 16, pid, 0, 0)[0] == 0:
        breach("ptrace", pid)
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_uint64 * 2)(id(None), 8)
    if pid != os.getpid() and call(310, pid, local, 1, remote, 1, 0)[0] > 0:
        breach("read the memory of", pid)
""",
}

SURVIVORS = {
    "double_fork_daemon": """
if os.fork() == 0:
    attempt(os.setsid)
    if os.fork() == 0:
        import signal, time
        for number in range(1, 65):
            attempt(signal.signal, number, signal.SIG_IGN)
        attempt(os.closerange, 0, 300)
        while True:
            time.sleep(0.05)
    os._exit(0)
result = "parent done"
""",
    "many_daemons": """
import time
for _ in range(8):
    if attempt(os.fork) == 0:
        attempt(os.setsid)
        attempt(os.setpgid, 0, 0)
        time.sleep(60)
""",
    "daemon_that_prints": """
import time
if os.fork() == 0:
    while True:
        attempt(os.write, 1, b"still here\\n")
        time.sleep(0.01)
""",
    "stopped_child": """
import signal
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
""",
    "child_outlives_exit": """
import time
if os.fork() == 0:
    time.sleep(60)
os._exit(0)
""",
    "child_answers_for_parent": """
import time
if os.fork():
    time.sleep(60)
result = "from the child"
""",
    "thread_after_end": """
import threading, time
def endless():
    while True:
        time.sleep(0.01)
for _ in range(4):
    threading.Thread(target=endless, daemon=True).start()
""",
    "vfork_by_hand": """
call(58)
os._exit(7)
""",
}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals(cage, name):
    cage.attack(attack(SIGNALS[name]))


@pytest.mark.parametrize("name", MEMORY)
def test_memory_of_others(cage, name):
    if name == "proc_mem" and cage.config.rung == "D":
        pytest.skip("rung D has no filesystem cut, /proc included (docs/security.md)")
    cage.attack(attack(MEMORY[name]))


@pytest.mark.parametrize("name", SURVIVORS)
def test_nothing_survives(cage, name):
    cage.attack(attack(SURVIVORS[name]), timeout=0.6)


def test_the_daemon_dies_with_the_run(cage):
    """Not only later: when the command has returned, no process of the guest runs any more."""
    run = cage.world.run(attack(SURVIVORS["double_fork_daemon"]), timeout=0.6)
    end = time.monotonic() + 0.15
    while time.monotonic() < end and cage.traces.left(0):
        time.sleep(0.01)
    guests = [trace for trace in cage.traces.left(0) if trace.startswith("process")]
    assert not guests, f"{guests}\n{run}"
    cage.verdict(run)
