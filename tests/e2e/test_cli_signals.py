"""Signals to the command: the run is cancelled, reported, and nothing of it stays."""

import contextlib
import ctypes
import json
import os
import pathlib
import signal
import time

import pytest

PR_SET_CHILD_SUBREAPER = 36
MARK = "psb-signal-test"
CODE = f"import time\nprint('{MARK}', flush=True)\ntime.sleep(600)\n"


def started(pysandbox, *words):
    process = pysandbox.start("run", *words, "-c", CODE)
    assert process.stdout.readline() == f"{MARK}\n".encode()
    assert len(descendants()) > 1
    return process


def descendants():
    """Living processes below this one; as a subreaper it inherits what loses its parent."""
    parents = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(folder.name)] = int(fields[1])
    found, grew = {os.getpid()}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return found - {os.getpid()}


def gone(before, seconds=5):
    """True when nothing that appeared since `before` is left below this process."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not descendants() - before:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(autouse=True)
def subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    reap_orphans()


def reap_orphans():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels(pysandbox, number):
    before = descendants()
    process = started(pysandbox, "--timeout", "60")
    process.send_signal(number)
    assert process.wait(timeout=10) == 130
    assert b"cancelled" in process.stderr.read()
    assert gone(before)


def test_a_cancelled_run_still_has_its_outcome(pysandbox):
    process = pysandbox.start("run", "--json", "--timeout", "60", "-c", CODE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=10)
    outcome = json.loads(stdout)
    assert outcome["status"] == "cancelled" and outcome["stdout"] == f"{MARK}\n"
    assert process.returncode == 130


def test_kill_of_the_command_leaves_nothing(pysandbox):
    before = descendants()
    process = started(pysandbox, "--timeout", "60")
    process.kill()
    process.wait(timeout=10)
    assert gone(before)
