"""Worlds of canaries, one per configuration, and the verdict that every attack is put to."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402
import psbworld  # noqa: E402

# The kernel wall alone on every rung, then the import layer on top of it once per user (on the
# microVM engine once: the layer is the runner's, whoever runs it).
LAYERED = ("root", "user") if psbtest.ENGINE == "native" else ("root",)
CONFIGS = psbtest.offered((*psbtest.LADDER, *(psbtest.Config(user, None, "on") for user in LAYERED),
                           psbtest.Config("self", None, "off")))


class Cage:
    """Runs attacks in one configuration and demands that nothing happened."""

    def __init__(self, config):
        self.config = config
        self.build()

    def build(self):
        self.world = psbworld.World(self.config)
        self.traces = psbtest.Traces()

    def attack(self, code, *, breach=True, statuses=None, timeout=2.0, **options):
        run = self.world.run(code, timeout=timeout, **options)
        self.verdict(run, breach=breach, statuses=statuses)
        psbtest.assert_in_time(run, self.config, timeout)
        return run

    def verdict(self, run, **rules):
        """A world that was touched is thrown away: the next attack finds a new one."""
        try:
            self.judge(run, **rules)
        except AssertionError:
            self.world.close()
            self.build()
            raise

    def judge(self, run, *, breach=True, statuses=None):
        allowed = statuses or set(psbtest.STATUSES) - {"unknown", "unavailable", "cancelled"}
        assert run.status in allowed, f"status {run.status}, allowed {sorted(allowed)}\n{run}"
        self.world.check(run)
        if breach:
            assert "BREACH" not in run.stdout, str(run)
        self.traces.check(run)


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def cage(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    cage = Cage(request.param)
    yield cage
    cage.world.close()


@pytest.fixture
def walled(cage):
    """A cage that cuts the file system: every rung but D, which says so and is off by default."""
    if cage.config.rung == "D":
        pytest.skip("rung D has no filesystem cut (docs/security.md)")
    return cage
