"""Runs are woken on the caller's processor; neither they nor the caller are kept there."""
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

LOOK = """
import os, threading
found = [sorted(os.sched_getaffinity(0))]
thread = threading.Thread(target=lambda: found.append(sorted(os.sched_getaffinity(0))))
thread.start()
thread.join()
result = found
"""
SLEEPY = "import time\ntime.sleep(0.02)\n"


def expected():
    return sorted(os.sched_getaffinity(0)) if psbtest.ENGINE == "native" else [0]


def quiet_runs(sandbox, source, count):
    for _ in range(count):
        sandbox.warm(2)
        yield sandbox.execute(source)


def test_a_program_may_run_wherever_the_host_may():
    before = os.sched_getaffinity(0)
    with psbcapi.Sandbox(pool_size=2) as sandbox:
        seen = [outcome["result"] for outcome in quiet_runs(sandbox, LOOK, 30)]
        assert os.sched_getaffinity(0) == before
        # A host that is interrupted right behind the wake-up lets go a moment later.
        assert seen.count([expected()] * 2) >= 27, seen
        for outcome in quiet_runs(sandbox, SLEEPY + LOOK, 5):
            assert outcome["result"] == [expected()] * 2, outcome


def test_a_host_on_one_processor_stays_there():
    before = os.sched_getaffinity(0)
    one = {min(before)}
    os.sched_setaffinity(0, one)
    try:
        with psbcapi.Sandbox(pool_size=2) as sandbox:
            for outcome in quiet_runs(sandbox, LOOK, 5):
                assert outcome["result"] == [expected()] * 2
                assert os.sched_getaffinity(0) == one
    finally:
        os.sched_setaffinity(0, before)


def helpers(earlier=()):
    """Those of all sandboxes: orphans, known by their names; not the dead."""
    found = set()
    for pid, (_, state, _) in psbtest.process_table().items():
        try:
            if state != "Z" and Path(f"/proc/{pid}/comm").read_text().startswith("psb-"):
                found.add(pid)
        except OSError:
            continue
    return found - set(earlier)


def affinity(pid):
    try:
        return sorted(os.sched_getaffinity(pid))
    except OSError:
        return None


def settled(earlier, wanted):
    """A worker that has just served is held where it did."""
    deadline = time.monotonic() + 5
    while not (found := [affinity(pid) for pid in helpers(earlier)]) or any(one != wanted for one in found):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return [wanted]


def test_what_a_sandbox_starts_may_run_wherever_the_host_may():
    before = os.sched_getaffinity(0)
    for allowed in (before, {max(before)}):
        earlier = helpers()
        os.sched_setaffinity(0, allowed)
        try:
            with psbcapi.Sandbox(pool_size=2) as sandbox:
                sandbox.warm(2)
                assert os.sched_getaffinity(0) == allowed
                assert settled(earlier, sorted(allowed)) == [sorted(allowed)]
        finally:
            os.sched_setaffinity(0, before)


def test_a_thread_that_is_moved_while_it_waits_stays_moved():
    before = os.sched_getaffinity(0)
    one = {max(before)}
    seen = []

    def wait(sandbox):
        sandbox.warm(2)
        outcome = sandbox.execute("import time\nfor _ in range(40): time.sleep(0.01)")
        seen.append((outcome["status"], os.sched_getaffinity(0)))

    with psbcapi.Sandbox(pool_size=2) as sandbox:
        thread = threading.Thread(target=wait, args=(sandbox,))
        thread.start()
        threading.Event().wait(0.1)
        os.sched_setaffinity(thread.native_id, one)
        thread.join()
    assert seen == [("ok", one)]


def test_runs_of_many_threads_at_once_are_all_right():
    with psbcapi.Sandbox(pool_size=2) as sandbox:
        wrong = []

        def work(number):
            for turn in range(20):
                outcome = sandbox.execute(f"result = {number} * 1000 + {turn}")
                if outcome["result"] != number * 1000 + turn:
                    wrong.append(outcome)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
