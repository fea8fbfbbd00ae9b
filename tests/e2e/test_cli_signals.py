"""Signals to the command: the run is cancelled, reported, and nothing of it stays."""

import json
import signal
import subprocess
import time

import pytest

MARK = "psb-signal-test"
CODE = f"import time\nprint('{MARK}', flush=True)\ntime.sleep(600)\n"


def started(pysandbox, *words):
    process = pysandbox.start("run", *words, "-c", CODE)
    assert process.stdout.readline() == f"{MARK}\n".encode()
    return process


def gone(before, seconds=5):
    """True when no descendant that appeared since `before` is left."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not (descendants() - before):
            return True
        time.sleep(0.05)
    return False


def descendants():
    out = subprocess.run(["ps", "-e", "-o", "pid=,comm="], capture_output=True, text=True,
                         check=True).stdout
    return {tuple(line.split(None, 1)) for line in out.splitlines()
            if "psb" in line or "pysandbox" in line}


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
