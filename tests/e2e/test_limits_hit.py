"""A limit that a program ran into and lived on with is told all the same, warm and cold."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

THREADS = """
import threading
stop = threading.Event()
made = 0
try:
    for _ in range(1000):
        threading.Thread(target=stop.wait).start()
        made += 1
except RuntimeError:
    result = made < 1000
stop.set()
"""
PROCESSES = """
import os, time
result = False
try:
    for _ in range(1000):
        if os.fork() == 0:
            time.sleep(60)
except OSError:
    result = True
"""


def check(outcome):
    assert (outcome["status"], outcome.get("result")) == ("ok", True), outcome
    assert outcome["limits_hit"] == ["processes"], outcome


def programs():
    return [THREADS, PROCESSES] if psbtest.ENGINE == "native" else [THREADS]


@pytest.mark.parametrize("program", programs(), ids=["threads", "processes"][:len(programs())])
def test_refused_threads_and_processes(program, tmp_path):
    with psbcapi.Sandbox(pool_size=2) as sandbox:
        for _ in range(3):
            check(sandbox.execute(program))
        assert sandbox.execute("result = 1")["limits_hit"] == []
    file = tmp_path / "program.py"
    file.write_text(program)
    done = subprocess.run([psbtest.command(), "run", "--engine", psbtest.ENGINE, "--json", str(file)],
                          capture_output=True, timeout=60, check=False)
    check(json.loads(done.stdout))
