"""Tables of programs with the statuses that are right for them, run eight at a time.

Each must end in exactly one outcome, in time, with one of its statuses and the exit code that
belongs to it; the canary must not show, a victim of the same user must live, and nothing may be left.
"""
import concurrent.futures
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

CONFIGS = psbtest.offered(psbtest.Config(user, rung) for user, rung in (("self", None), ("user", "B"), ("root", "C")))
AT_ONCE = 8 if psbtest.ENGINE == "native" else 4  # a page fault of a virtual machine costs more
WALL_S = 3.0
LATE_MS = 700  # eight at a time on two processors, and others may be at work
EXIT_CODES = {"ok": 0, "error": 1, "timeout": 124, "cpu_limit": 124, "memory_limit": 137, "output_limit": 66,
              "result_limit": 66, "disk_limit": 66, "process_limit": 66, "denied": 65, "crash": 70, "unknown": 126}
HEADER = "### "


def table(path):
    """name -> (statuses, code). A program begins with a line "### name: status status"; behind a bar
    come those of an engine that differs, with its reason in docs/fidelity.md: "| microvm: ok"."""
    found = {}
    for part in ("\n" + path.read_text()).split("\n" + HEADER)[1:]:
        head, _, code = part.partition("\n")
        name, _, statuses = head.partition(": ")
        statuses, _, differing = statuses.partition(" | ")
        if differing.startswith(f"{psbtest.ENGINE}: "):
            statuses = differing.partition(": ")[2]
        assert name not in found, f"{path}: {name} is there twice"
        found[name] = statuses, code + "\n"
    return found


def wrong(run, statuses, canary):
    """What is wrong with the outcome, or ""."""
    late_ms = run.usage["wall_ms"] - WALL_S * 1000
    code = EXIT_CODES.get(run.status)
    if run.status == "exit":
        code = run.outcome["exit_code"] if 1 <= run.outcome["exit_code"] <= 63 else 64
    if run.status not in statuses.split():
        return f"{run.status}, expected {statuses}"
    if code != run.exit_code:
        return f"the command's exit code for {run.status} is {run.exit_code}"
    if canary in run.raw:
        return "it shows the canary"
    return f"dead {late_ms:.0f} ms too late" if late_ms > LATE_MS else ""


def require(config):
    reason = psbtest.missing(config)
    if reason:
        pytest.skip(reason)


def check(config, programs):
    require(config)
    canary = psbtest.write_file("endings-canary", b"canary-of-the-endings")
    victim = psbtest.spawn(["/bin/sleep", "600"], config, start_new_session=True)
    traces = psbtest.Traces()
    problems, lock = [], threading.Lock()

    def one(item):
        name, (statuses, code) = item
        text = code.replace("CANARY", str(canary)) if isinstance(code, str) else code
        try:
            problem = wrong(run := psbtest.run(text, config, timeout=WALL_S), statuses, canary.read_bytes())
        except AssertionError as failure:
            problem, run = str(failure), ""
        if problem:
            with lock:
                problems.append(f"{name}: {problem}\n{run}")
    try:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, programs.items()))
        assert victim.poll() is None, "the victim is dead"
    finally:
        victim.kill()
        victim.communicate()
    assert canary.read_bytes() == b"canary-of-the-endings"
    assert not problems, f"{len(problems)} of {len(programs)}:\n" + "\n".join(problems)
    traces.check(None, 15.0)
