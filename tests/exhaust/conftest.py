"""Who exhausts what where: one cage per user and rung, and the traces it must not leave."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

CONFIGS = psbtest.offered((
    *(psbtest.Config("root", rung) for rung in "ACD"),
    *(psbtest.Config("user", rung) for rung in "BC"), psbtest.Config("self", None, "on")))


class Exhaust:
    def __init__(self, config):
        self.config = config
        self.traces = psbtest.Traces()

    def run(self, code, statuses, *, timeout=0.6, leaves=True, **options):
        """Runs it; the status is one of those, in time, and nothing is left."""
        run = psbtest.run(code, self.config, timeout=timeout, **options)
        assert run.status in statuses, f"{run.status}, expected {sorted(statuses)}\n{run}"
        psbtest.assert_in_time(run, self.config, timeout)
        limit_ms = timeout * 1000
        assert run.usage["wall_ms"] <= limit_ms + 600, f"dead too late\n{run}"
        if leaves:
            # Without a mount namespace the janitor has real files to remove, one by one.
            self.traces.check(run, 15.0 if self.config.rung in ("C", "D") else 2.0)
        return run


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def exhaust(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    return Exhaust(request.param)
