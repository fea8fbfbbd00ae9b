"""Whatever the caller's limits, descriptors and signals are: an outcome, or the reason why not."""
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

CONFIGS = psbtest.offered((psbtest.Config("self"), psbtest.Config("user", "B")))
LIMITS = {
    "small_stack": (resource.RLIMIT_STACK, 1 << 18), "soft_files": (resource.RLIMIT_NOFILE, (64, 4096)),
    "cpu": (resource.RLIMIT_CPU, 1), "memlock": (resource.RLIMIT_MEMLOCK, 0), "space": (resource.RLIMIT_AS, 2 << 30),
    "file_size": (resource.RLIMIT_FSIZE, 1 << 14), "pending_signals": (resource.RLIMIT_SIGPENDING, 0),
}


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def config(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


def limited(which, value):
    pair = value if isinstance(value, tuple) else (value, value)
    return {"preexec_fn": lambda: resource.setrlimit(which, pair)}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_of_the_caller(config, name):
    run = psbtest.run("result = 1", config, popen=limited(*LIMITS[name]))
    if name == "pending_signals" and psbtest.ENGINE == "microvm":
        # Its timers are POSIX timers, each of which reserves a pending signal.
        assert run.status == "unavailable" and "ulimit -i" in run.error["message"], str(run)
        return
    assert run.status == "ok" and run.result == 1, str(run)


def test_too_few_files_are_told(config):
    run = psbtest.run("result = 1", config, popen=limited(resource.RLIMIT_NOFILE, 60))
    assert run.status == "unavailable" and run.exit_code == 125, str(run)
    assert "60" in run.error["message"] and "ulimit -n" in run.error["message"], str(run)


@pytest.mark.parametrize("closed", ((0,), (2,), (0, 2)), ids=str)
def test_closed_descriptors(config, closed):
    shell = "exec " + " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed) + '; exec "$@"'
    argv = ["/bin/sh", "-c", shell, "sh", *psbtest.arguments("print('said')\nresult = 1", config)]
    process = psbtest.spawn(argv, config, env=psbtest.environment(None, config))
    outcome = psbtest.parse_outcome(process.communicate(timeout=30)[0])
    assert (outcome["status"], outcome["stdout"], outcome["result"]) == ("ok", "said\n", 1)


def test_ignored_and_blocked_signals(config):
    def quiet():
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 65)) - {9, 19, 32, 33})
    code = ("import signal, os\nsignal.signal(10, lambda *a: seen.append(1))\nseen = []\nos.kill(os.getpid(), 10)\n"
            "result = [seen, len(signal.pthread_sigmask(signal.SIG_BLOCK, []))]")
    run = psbtest.run(code, config, popen={"preexec_fn": quiet})
    assert run.status == "ok" and run.result == [[1], 0], str(run)


def test_a_full_disk_behind_stdout_is_told():
    argv = psbtest.arguments("result = 1")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False, timeout=30)
    assert done.returncode == 1 and b"No space left" in done.stderr


@pytest.mark.skipif(psbtest.ENGINE != "native" or os.geteuid() != 0, reason="native; needs root to be given the priority")
def test_a_guest_has_no_real_time_priority():
    """A batch task besides: its teardown does not get in the way of those who tell of its end."""
    config = psbtest.Config("self")

    def urgent():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    for popen in ({}, {"preexec_fn": urgent}):
        run = psbtest.run("import os\nresult = os.sched_getscheduler(0)", config, popen=popen)
        assert run.status == "ok" and run.result == os.SCHED_BATCH, str(run)
