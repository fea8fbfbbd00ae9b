"""Jobs of the suite's engine: each ends exactly once, within its limits, whatever the host does."""
import json
import os
import random
import sys
import time
from pathlib import Path

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

POLICY = '{"imports":{"mode":"off"}}'
JOBS = 10_000


@pytest.fixture
def sandbox(engine):
    traces = psbtest.Traces()
    with psbcapi.Sandbox(policy=POLICY, pool_size=4, queue_length=JOBS) as opened:
        yield opened
    traces.check()


def running_guests():
    """Processes below us that use a processor: nobody but a guest does for long."""
    below = set(psbtest.descendants(os.getpid()))
    return {pid for pid, row in psbtest.process_table().items() if row[1] == "R" and pid in below}


def test_ten_thousand_jobs_with_random_cancels(sandbox):
    """Most are cancelled before or while they run; every one has its own answer or `cancelled`."""
    dice, seen, submitted = random.Random(4), {}, 0
    while len(seen) < JOBS:
        while submitted < JOBS and submitted - len(seen) < 300:
            job = sandbox.submit("result = n", {"n": submitted + 1})
            submitted += 1
            assert job == submitted
            if dice.random() < 0.75:
                sandbox.cancel(dice.randint(max(1, submitted - 200), submitted))
        assert sandbox.readable(30)
        while (got := sandbox.next()):
            job, outcome = got
            assert job not in seen
            seen[job] = outcome["status"]
            assert outcome["status"] in ("ok", "cancelled"), outcome
            assert outcome["status"] != "ok" or outcome["result"] == job
    assert sandbox.next() is None
    assert set(seen) == set(range(1, JOBS + 1))
    statuses = list(seen.values())
    assert statuses.count("ok") > 500 and statuses.count("cancelled") > 500


def test_jobs_run_at_once(sandbox):
    sandbox.warm(4)
    begin = time.monotonic()
    for _ in range(4):
        sandbox.submit("import time\ntime.sleep(0.5)")
    found = sandbox.outcomes(4)
    assert all(outcome["status"] == "ok" for outcome in found.values())
    assert time.monotonic() - begin < 1.5


def test_limits_hold_while_the_host_does_nothing(engine):
    """Nobody calls the library; the guest is gone all the same, and the outcome waits."""
    with psbcapi.Sandbox(policy=POLICY, pool_size=1, limits={"wall_ms": 600}) as sandbox:
        sandbox.warm(1)
        job = sandbox.submit("while True: pass")
        time.sleep(0.3)
        assert any(running_guests() for _ in range(20) if not time.sleep(0.005)), "the guest runs"
        time.sleep(0.8)
        guests = [running_guests() for _ in range(5) if not time.sleep(0.02)]
        assert not set.intersection(*guests), "the guest outlived its limit"
        time.sleep(0.5)
        outcome = sandbox.outcomes(1)[job]
        assert outcome["status"] == "timeout"
        assert 600 <= outcome["usage"]["wall_ms"] < 900


def test_every_limit_ends_a_job(sandbox):
    sources = {
        sandbox.submit("import time\ntime.sleep(9)", limits={"wall_ms": 300}): "timeout",
        sandbox.submit("while True: pass", limits={"cpu_ms": 200}): "cpu_limit",
        sandbox.submit("while True: print('x' * 9999)", limits={"stdout_bytes": 10000}): "output_limit",
        sandbox.submit("result = 'x' * 10**6", limits={"result_bytes": 1000}): "result_limit",
        sandbox.submit("import os\nos.abort()"): "crash",
        sandbox.submit("1 / 0"): "error",
        sandbox.submit("import os\nos._exit(3)"): "exit",
    }
    found = sandbox.outcomes(len(sources))
    assert {job: outcome["status"] for job, outcome in found.items()} == sources


def test_output_is_streamed_in_order_and_before_the_outcome(sandbox):
    pieces, moments = [], []

    def on_output(stream, data):
        pieces.append((stream, data))
        moments.append(time.monotonic())

    job = sandbox.submit("import time\nfor i in range(5):\n    print(i, flush=True)\n    time.sleep(0.1)",
                         on_output=on_output)
    outcome = sandbox.outcomes(1)[job]
    assert b"".join(data for stream, data in pieces if stream == 1) == b"0\n1\n2\n3\n4\n"
    assert outcome["stdout"] == "0\n1\n2\n3\n4\n"
    assert len(pieces) > 1 and moments[-1] - moments[0] > 0.2, "it came while the program ran"


def test_files_of_jobs_do_not_mix(sandbox, tmp_path):
    folders = {}
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        job = sandbox.submit(f"open('f.txt', 'w').write('{number}' * 1000)", output_dir=str(folder))
        folders[job] = (folder, str(number) * 1000)
    for job, outcome in sandbox.outcomes(6).items():
        assert outcome["files"] == [{"name": "f.txt", "size": 1000}], outcome
        folder, content = folders[job]
        assert (folder / "f.txt").read_text() == content


def test_execute_among_jobs(sandbox):
    """All instances sleep for jobs that nobody else moves on: execute() does, and takes none."""
    jobs = {sandbox.submit("import time\ntime.sleep(0.05)\nresult = n", {"n": n}): n for n in range(12)}
    for number in range(5):
        assert sandbox.execute("result = n", {"n": -number})["result"] == -number
    found = sandbox.outcomes(12)
    assert {job: outcome["result"] for job, outcome in found.items()} == jobs


def test_large_requests_and_results(sandbox):
    """More than a pipe holds, both ways, several at once."""
    jobs = {sandbox.submit("result = text[::-1]", {"text": chr(97 + n) * 2_000_000 + "!"}): chr(97 + n)
            for n in range(6)}
    for job, outcome in sandbox.outcomes(6).items():
        assert outcome["result"] == "!" + jobs[job] * 2_000_000


def test_tighter_limits_of_large_requests(sandbox):
    """The keeper confirms them first; the request waits for that and for the pipe."""
    job = sandbox.submit("result = len(text)", {"text": "x" * 3_000_000}, limits={"cpu_ms": 5000})
    assert sandbox.outcomes(1)[job]["result"] == 3_000_000


def test_cancel_of_a_running_job(sandbox):
    sandbox.warm(1)
    job = sandbox.submit("while True: pass")
    time.sleep(0.1)
    begin = time.monotonic()
    sandbox.cancel(job)
    sandbox.cancel(job)
    assert sandbox.outcomes(1)[job]["status"] == "cancelled"
    assert time.monotonic() - begin < 1
    sandbox.cancel(job)
    assert sandbox.next() is None
    with pytest.raises(psbcapi.CallFailed):
        sandbox.cancel(job + 1)


def test_a_cancel_after_the_end_changes_nothing(sandbox):
    sandbox.warm(1)
    job = sandbox.submit("result = 1")
    time.sleep(1)  # it has ended; nobody has looked
    sandbox.cancel(job)
    outcome = sandbox.outcomes(1)[job]
    assert (outcome["status"], outcome["result"]) == ("ok", 1)


def test_a_full_queue_and_a_queue_that_takes_too_long(engine):
    with psbcapi.Sandbox(policy=POLICY, pool_size=1, queue_length=2, queue_timeout_ms=300) as sandbox:
        sandbox.warm(1)
        running = sandbox.submit("import time\ntime.sleep(1)")
        waiting = [sandbox.submit("result = 1") for _ in range(2)]
        with pytest.raises(psbcapi.CallFailed) as refused:
            sandbox.submit("result = 1")
        assert refused.value.args[0] == -9 and "queue_length is 2" in refused.value.args[1]
        found = sandbox.outcomes(3)
        assert found[running]["status"] == "ok"
        for job in waiting:
            assert found[job]["status"] == "unavailable"
            assert found[job]["error"]["type"] == "QueueTimeout"
            assert 300 <= found[job]["usage"]["queue_ms"] < 900


def test_outcomes_of_jobs_that_went_wrong_meet_the_schema(engine, tmp_path):
    schema = json.loads((psbtest.ROOT / "docs" / "outcome.schema.json").read_text())
    folder = tmp_path / "gone"
    folder.mkdir()
    with psbcapi.Sandbox(policy=POLICY, pool_size=1, queue_timeout_ms=400) as sandbox:
        sandbox.warm(1)
        first = sandbox.submit("open('f', 'w').write('x')\nimport time\ntime.sleep(1)", output_dir=str(folder))
        late = sandbox.submit("result = 1")
        cancelled = sandbox.submit("result = 1")
        sandbox.cancel(cancelled)
        folder.rmdir()
        found = sandbox.outcomes(3)
    for job, status, kind in ((late, "unavailable", "QueueTimeout"), (cancelled, "cancelled", "Cancelled")):
        assert (found[job]["status"], found[job]["error"]["type"]) == (status, kind)
    assert found[first]["status"] == "ok"
    assert "error" in found[first]["files"][0], "a file that could not be stored is listed with the reason"
    for outcome in found.values():
        jsonschema.validate(outcome, schema)


def keeper_of(before):
    """The helper that the library talks to; of the microVM's nested ones the innermost."""
    name = {"native": "psb-keeper", "microvm": "psb-vmm"}[psbtest.ENGINE]
    mine = set(psbtest.descendants(os.getpid())) - before
    found = [pid for pid in mine if Path(f"/proc/{pid}/comm").read_text().strip() == name]
    return next(pid for pid in found if len(psbtest.descendants(pid)) == min(
        len(psbtest.descendants(other)) for other in found if psbtest.descendants(other)))


def test_a_keeper_that_is_killed(engine):
    """What ran on it is unknown, once; what waited runs on its successor. No SIGPIPE, no hang."""
    traces = psbtest.Traces()
    before = set(psbtest.descendants(os.getpid()))
    with psbcapi.Sandbox(policy=POLICY, pool_size=3) as sandbox:
        sandbox.warm(3)
        assert sandbox.execute("result = 1")["status"] == "ok"
        sandbox.warm(3)
        jobs = [sandbox.submit("import time\ntime.sleep(0.3)\nresult = 1") for _ in range(8)]
        time.sleep(0.1)
        psbtest.kill_quietly(keeper_of(before))
        found = sandbox.outcomes(8)
        statuses = [found[job]["status"] for job in jobs]
        assert statuses[:3] == ["unknown"] * 3
        assert statuses[3:] == ["ok"] * 5
    traces.reap()  # or the killed one, a zombie of ours, still owns its groups
    with psbcapi.Sandbox(policy=POLICY, pool_size=1) as sandbox:  # removes them
        assert sandbox.execute("result = 1")["status"] == "ok"
    traces.check()


def test_close_kills_what_runs(engine):
    traces = psbtest.Traces()
    sandbox = psbcapi.Sandbox(policy=POLICY, pool_size=3)
    sandbox.warm(3)
    for _ in range(10):
        sandbox.submit("while True: pass")
    time.sleep(0.1)
    begin = time.monotonic()
    sandbox.close()
    assert time.monotonic() - begin < 3
    traces.check()
