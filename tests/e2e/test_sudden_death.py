"""kill -9 of the command, the keeper or the template at any moment leaves nothing behind."""
import os
import random
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

CONFIGS = psbtest.offered((psbtest.Config("root", "A"), psbtest.Config("root", "C"),
                           psbtest.Config("user", "B"), psbtest.Config("user", "C")))
BUSY = """
import os, threading, time
open("mark", "w").write("x" * 100000)
try:
    if os.fork() == 0:
        time.sleep(100)
except OSError:
    pass
threading.Thread(target=time.sleep, args=(100,)).start()
while True:
    print("x", flush=True)
    time.sleep(0.005)
"""
MOMENTS_MS = (0, 2, 5, 8, 12, 18, 25, 40, 80, 200)


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def config(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


def left_besides_groups(traces):
    """Empty control groups may stay until the next start removes them."""
    return {trace for trace in traces.left(3.0) if not trace.startswith("/sys/fs/cgroup")}


def start(config, timeout=20):
    argv = psbtest.arguments(BUSY, config, timeout=timeout)
    return psbtest.spawn(argv, config, env=psbtest.environment(None, config))


@pytest.mark.parametrize("moment_ms", MOMENTS_MS)
def test_of_the_command(config, moment_ms):
    traces = psbtest.Traces()
    process = start(config)
    time.sleep(moment_ms / 1000 + random.random() / 500)
    process.kill()
    process.communicate()
    assert not left_besides_groups(traces)
    assert psbtest.run("result = 1", config).status == "ok"
    left = traces.left(3.0)
    assert not left, "the next start cleans up what a killed one could not"


@pytest.mark.parametrize("moment_ms", (30, 60, 120))
@pytest.mark.parametrize("which", range(4))
def test_of_a_helper(config, which, moment_ms):
    """The n-th process that belongs to the run: keeper, builder, template, init or guest."""
    before = set(psbtest.descendants(os.getpid()))
    traces = psbtest.Traces()
    process = start(config, timeout=1)
    time.sleep(moment_ms / 1000)
    mine = [pid for pid in psbtest.descendants(os.getpid()) if pid not in before | {process.pid}]
    if which >= len(mine):
        process.kill()
        process.communicate()
        assert not left_besides_groups(traces)
        return
    psbtest.kill_quietly(sorted(mine)[which])
    raw, _ = process.communicate(timeout=10)
    outcome = psbtest.parse_outcome(raw) if raw else {}
    assert outcome.get("status") in ("crash", "unknown", "unavailable", "timeout", "error", "ok"), raw
    assert not left_besides_groups(traces)
    assert psbtest.run("result = 1", config).status == "ok"


def test_of_the_caller(config):
    """The host is killed while it holds a warm sandbox: its keeper sees the end of the pipe."""
    import psbcapi
    traces = psbtest.Traces()
    code = f"""
import sys
sys.path.insert(0, {str(Path(psbcapi.__file__).parent)!r})
import psbcapi
sandbox = psbcapi.Sandbox(policy='{{"imports":{{"mode":"off"}}}}', rung={config.rung!r}, pool_size=4)
sandbox.warm(2)
print("warm", flush=True)
sandbox.execute("import time\\ntime.sleep(100)")
"""
    process = psbtest.spawn([psbtest.PYTHON, "-c", code], config, env={
        **psbtest.environment(), "PYSANDBOX": psbtest.command(), "PSB_TEST_UID": str(psbtest.USER_ID)})
    line = process.stdout.readline()
    time.sleep(0.1)
    process.kill()
    _, err = process.communicate()
    assert line == b"warm\n", err
    assert not left_besides_groups(traces)
