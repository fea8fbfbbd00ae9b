"""Eight at a time: neighbours neither see nor starve one another, and nothing is left of any."""
from concurrent.futures import ThreadPoolExecutor

import psbtest

NOISY = {
    "spin": ("import threading\nfor _ in range(8):\n    threading.Thread(target=lambda: all(x == 0 for x in iter(int, 1))).start()",
             {"timeout", "cpu_limit"}),
    "forks": ("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
              {"timeout", "cpu_limit", "process_limit", "memory_limit"}),
    "memory": ("keep = []\nwhile True:\n    keep.append(bytearray(1 << 20))", {"memory_limit", "error", "timeout"}),
    "output": ("while True:\n    print('x' * 10000)", {"output_limit", "timeout", "cpu_limit"}),
    "files": ("n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(b'x' * 100000)\n    n += 1",
              {"error", "disk_limit", "memory_limit", "timeout", "cpu_limit"}),
    "daemon": ("import os, time\nif os.fork() == 0:\n    time.sleep(100)\nresult = 1", {"ok", "error"}),
    "crash": ("import os\nos.abort()", {"crash"}),
}


def together(jobs, config):
    """Runs (code, options) pairs at once, in order of submission."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(lambda job: psbtest.run(job[0], config, **job[1]), jobs))


def test_eight_noisy(exhaust):
    names = [*NOISY, "spin"]
    runs = together([(NOISY[name][0], {"timeout": 1.5, "memory": "64M"}) for name in names],
                    exhaust.config)
    for name, run in zip(names, runs):
        assert run.status in NOISY[name][1], f"{name}: {run}"
        assert run.wall_s < 1.5 + 8 * psbtest.startup_s(exhaust.config) + 4 * psbtest.SLACK_S
    exhaust.traces.check()


def test_seven_noisy_and_an_honest_one(exhaust):
    jobs = [(NOISY["spin"][0], {"timeout": 1.0})] * 7
    jobs.append(("result = sum(range(10 ** 5))", {"timeout": 5.0}))
    run = together(jobs, exhaust.config)[-1]
    assert run.status == "ok" and run.result == 4999950000, str(run)
    exhaust.traces.check()


def test_workspaces_are_apart(exhaust):
    """Each leaves a mark wherever it can write and reports all marks it can find."""
    code = """
import os, time, tempfile
places = [os.getcwd(), os.path.dirname(os.getcwd()), "/tmp", "/dev/shm", "/var/tmp",
          tempfile.gettempdir(), "/"]
def mark(place):
    try:
        open(f"{place}/mark-{me}", "w").close()
    except OSError:
        pass
def marks(place):
    found = set()
    for base, names, files in os.walk(place):
        names[:] = [name for name in names if name not in ("proc", "sys", "usr", "lib")][:200]
        found |= {name for name in files if name.startswith("mark-")}
        if base.count("/") > 6:
            names.clear()
    return found
for place in places:
    mark(place)
time.sleep(0.4)
result = sorted(set().union(*map(marks, places)))
"""
    jobs = [(code, {"timeout": 4.0, "inputs": {"me": str(number)}}) for number in range(8)]
    if exhaust.config.rung == "D":
        jobs = jobs[:1]  # without a filesystem cut /tmp is everybody's (docs/security.md)
    for number, run in enumerate(together(jobs, exhaust.config)):
        assert run.status == "ok", str(run)
        assert run.result == [f"mark-{number}"], str(run)
    if exhaust.config.rung == "D":
        for place in ("/tmp", "/dev/shm", "/var/tmp"):
            psbtest.remove_mark(f"{place}/mark-0")
    exhaust.traces.check()


def test_neighbours_are_not_signalled(exhaust):
    """One kills all it can while seven others work."""
    killer = """
import os, signal, time
signal.signal(10, signal.SIG_IGN)
end = time.monotonic() + 0.5
while time.monotonic() < end:
    for pid in (-1, 0, *range(2, 300)):
        if pid != os.getpid():
            try:
                os.kill(pid, 10)
            except OSError:
                pass
"""
    worker = "import time\ntime.sleep(0.6)\nresult = 'alive'"
    jobs = [(worker, {"timeout": 4.0})] * 4 + [(killer, {"timeout": 4.0})]
    runs = together(jobs, exhaust.config)
    assert [run.result for run in runs[:4]] == ["alive"] * 4, "\n".join(map(str, runs))
    exhaust.traces.check()
