"""What the library's own process spends while it waits for a run."""

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

RUNS = 20


def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def test_a_long_wait_costs_no_processor_time():
    """A thread looks for a moment before it sleeps; with runs that last it must give that up."""
    with psbcapi.Sandbox(engine=psbtest.ENGINE) as box:
        assert box.execute("result = 1")["result"] == 1
        before = spent()
        for _ in range(RUNS):
            assert box.execute("import time\ntime.sleep(0.1)")["status"] == "ok"
        assert spent() - before < RUNS * 0.1 * 0.1
