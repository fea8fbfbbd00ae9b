"""A short soak in the ordinary run; `make soak` is the long one."""
import json
import subprocess
import sys
from pathlib import Path

import psbtest

SOAK = Path(__file__).resolve().parents[1] / "soak" / "soak.py"


def test_nothing_grows_and_every_outcome_is_right():
    done = subprocess.run([sys.executable, SOAK, "--engine", psbtest.ENGINE, "-n", "1500"], capture_output=True, text=True,
                          timeout=300)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert not report["wrong"] and not report["grown"], report
    assert report["executions"] == 1500
    assert {"ok", "error", "exit", "crash", "timeout", "cancelled"} <= set(report["statuses"])
