"""Start-up files and preloaded modules run before any program, in the cage: they reach nobody either."""
import subprocess
from pathlib import Path

import psbtest
import pytest

CONFIGS = psbtest.offered(psbtest.Config(user, rung) for user in ("root", "user") for rung in "BCD")
# In a pid namespace of its own, or a virtual machine, everybody is itself.
START_UP = """
import os, resource
def attempt(function, *args):
    try:
        function(*args)
    except OSError:
        pass
for signal in (15, 9):
    for pid in ({victim}, -{victim}{everybody}):
        attempt(os.kill, pid, signal)
    attempt(os.killpg, {victim}, signal)
attempt(resource.prlimit, {victim}, resource.RLIMIT_CPU, (0, 0))
open('/dev/null').close()
os.START_UP_RAN = 1
"""


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def config(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="session")
def venv():
    place = psbtest.session_dir() / "venv"
    if not place.exists():
        subprocess.run([psbtest.PYTHON, "-m", "venv", "--without-pip", place], check=True)
    return place


def site_packages(venv):
    return next(venv.glob("lib/python3*/site-packages"))


@pytest.fixture
def victim(config):
    process = psbtest.spawn(["/bin/sleep", "600"], config, start_new_session=True)
    yield process
    process.kill()
    process.communicate()


def test_signals_and_limits_of_others(config, venv, victim):
    packages = site_packages(venv)
    alone = config.rung == "B" or psbtest.ENGINE == "microvm"
    (packages / "evil_start.py").write_text(START_UP.format(
        victim=victim.pid, everybody="" if alone else ", 0, -1"))
    (packages / "evil.pth").write_text("import evil_start\n")
    limits = Path(f"/proc/{victim.pid}/limits")
    before = limits.read_text()
    try:
        run = psbtest.run("import os\nresult = os.START_UP_RAN", config,
                          args=["--python", str(venv / "bin/python3"), "--preload", "json"])
    finally:
        (packages / "evil.pth").unlink()
    assert run.status == "ok" and run.result == 1, str(run)
    assert victim.poll() is None
    assert limits.read_text() == before


SELF = {"raise": "import signal\nsignal.raise_signal(10)", "kill": "import os\nos.kill(os.getpid(), 10)",
        "abort": "import os\nos.abort()", "thread": "import signal, threading\n"
        "signal.pthread_kill(threading.get_ident(), 10)"}


@pytest.mark.parametrize("name", SELF)
def test_an_instance_of_a_pool_signals_itself(config, name):
    """It is not the zygote, whose pid the template's filter knows."""
    if config.user == "user":
        pytest.skip("the library runs as the tests' own user")
    import psbcapi
    with psbcapi.Sandbox(rung=config.rung, require="3", pool_size=1) as sandbox:
        outcome = sandbox.execute(SELF[name])
        assert outcome["status"] == "crash" and outcome["signal"] == (6 if name == "abort" else 10), outcome
        caught = "import os, signal\nsignal.signal(10, lambda *a: seen.append(1))\nseen = []\n"
        outcome = sandbox.execute(caught + "os.kill(os.getpid(), 10)\nresult = seen")
        assert outcome["status"] == "ok" and outcome["result"] == [1], outcome
        outcome = sandbox.execute("import os\ntry:\n    os.kill(1, 0)\nexcept OSError as e:\n    result = e.errno")
        # EPERM: the init of its namespace. A virtual machine has no such process: ESRCH.
        nobody = 1 if psbtest.ENGINE == "native" else 3
        assert outcome["status"] == "ok" and outcome["result"] == nobody, outcome
