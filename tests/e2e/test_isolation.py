"""One sandbox, many executions: nothing of one reaches the next, and no death spoils the handle."""
import os
import time
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

OFF = '{"imports":{"mode":"off"}}'
RUNGS = ("A", "B", "C") if psbtest.ENGINE == "native" else ("A",)


@pytest.fixture(scope="module", params=RUNGS)
def sandbox(request):
    reason = psbtest.missing(psbtest.Config("self", request.param, "off"))
    if reason:
        pytest.skip(reason)
    traces = psbtest.Traces()
    with psbcapi.Sandbox(policy=OFF, rung=request.param, pool_size=2, limits={
            "wall_ms": 2000, "memory_bytes": 128 << 20}) as sandbox:
        yield sandbox
    traces.check()


# what one execution does; what the next one looks for and must find as if nothing had been
SPOILS = {
    "globals": ("x = 1\nimport json\njson.spoiled = 1",
                "import json\nresult = ['x' in globals(), hasattr(json, 'spoiled')]", [False, False]),
    "builtins": ("import builtins\nbuiltins.spoiled = 1\nbuiltins.len = lambda x: 99\nbuiltins.print = None",
                 "result = [len('abc'), 'spoiled' in dir(__builtins__), print is None]", [3, False, False]),
    "environment": ("import os\nos.environ['SPOILED'] = os.environ['PATH'] = '1'",
                    "import os\nresult = ['SPOILED' in os.environ, os.environ['PATH'] == '1']", [False, False]),
    "files": ("import os\nopen('spoiled', 'w').write('x')\nos.makedirs('d/e')\nos.chmod('.', 0)",
              "import os\nresult = os.listdir()", []),
    "temporary_files": ("import tempfile, os\nfd, name = tempfile.mkstemp(prefix='spoiled')\nos.write(fd, b'x')",
                        "import tempfile, os\nresult = [n for n in os.listdir(tempfile.gettempdir()) if 'spoiled' in n]", []),
    "directory": ("import os\nos.makedirs('deep')\nos.chdir('deep')\nos.umask(0o777)",
                  "import os\nresult = [os.getcwd().endswith('deep'), os.umask(0) == 0o777]", [False, False]),
    "memory": ("import ctypes\nkeep = [b'SPOILED-%d' % n * 100 for n in range(20000)]\nctypes.memset(id(0) + 24, 5, 1)",
               "import gc\nresult = any(b'SPOILED' in o for o in gc.get_objects() if isinstance(o, bytes)), 0 + 0", [False, 0]),
    "interned": ("import ctypes\nctypes.c_ssize_t.from_address(id(256) + 24).value = 7",
                 "result = 255 + 1 - 6", 250),
    "modules": ("import sys\nsys.modules['math'] = sys\nsys.path[:] = ['/spoiled']\nsys.setrecursionlimit(50)\nsys.setswitchinterval(9)",
                "import math, sys\nresult = [math.floor(2.5), '/spoiled' in sys.path, sys.getrecursionlimit() >= 1000]", [2, False, True]),
    "signals": ("import signal\nsignal.signal(15, signal.SIG_IGN)\nsignal.pthread_sigmask(0, range(1, 64))\nsignal.alarm(1)",
                "import signal\nresult = [signal.getsignal(15) == signal.SIG_IGN, len(signal.pthread_sigmask(0, []))]", [False, 0]),
    "descriptors": ("import os\n[os.pipe() for _ in range(20)]\nos.dup2(1, 2)\nos.close(0)",
                    "import os\nresult = sum(1 for fd in range(3, 200) if os.path.exists('/') and not _closed(fd))", 0),
    "limits": ("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\nresource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))",
               "import resource\nresult = resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 8", True),
    "processes": ("import os, time\nif os.fork() == 0:\n    time.sleep(60)",
                  "import os\nresult = []\nfor pid in range(2, 60):\n    try:\n        if pid != os.getpid():\n            os.kill(pid, 0)\n            result.append(pid)\n    except OSError:\n        pass", []),
    "output": ("import os, threading, time\nos.write(1, b'SPOILED' * 9000)\nthreading.Thread(target=lambda: time.sleep(9), daemon=True).start()",
               "result = 'quiet'", "quiet"),
    "locale_and_time": ("import locale, time, os\nlocale.setlocale(locale.LC_ALL, 'C')\nos.environ['TZ'] = 'Asia/Tokyo'\ntime.tzset()",
                        "import time\nresult = time.timezone == -32400", False),
    "hooks": ("import sys, atexit\nsys.excepthook = sys.displayhook = None\nsys.meta_path.clear()\natexit.register(print, 'SPOILED')\nsys.addaudithook(lambda *a: None)",
              "import colorsys, sys\nresult = len(sys.meta_path) > 1", True),
}
CLOSED = """
def _closed(fd):
    import os
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False
"""


@pytest.mark.parametrize("name", SPOILS)
def test_state(sandbox, name):
    spoil, look, clean = SPOILS[name]
    for _ in range(3):  # more than the pool holds
        first = sandbox.execute(spoil)
        assert first["status"] in ("ok", "error", "crash", "timeout"), first
        second = sandbox.execute(CLOSED + look)
        assert second["status"] == "ok" and second["result"] == clean, second
        assert "SPOILED" not in second["stdout"] + second["stderr"]


DEATHS = {
    "timeout": ("while True: pass", {"timeout", "cpu_limit"}),
    "crash": ("import os\nos.abort()", {"crash"}),
    "memory": ("x = []\nwhile True: x.append(bytearray(1 << 20))", {"memory_limit", "error"}),
    "output": ("while True: print('x' * 9999)", {"output_limit"}),
    "exit": ("import os\nos._exit(9)", {"exit"}),
    "forks": ("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
              {"timeout", "cpu_limit", "process_limit", "memory_limit"}),
    "closed": ("import os\nos.closerange(0, 999)\nresult = 1", {"ok", "exit", "error", "unknown"}),
    "killed": ("import os\nos.kill(os.getpid(), 9)\nimport time\ntime.sleep(9)", {"crash", "timeout"}),
    "parent_killed": ("import os\nfor p in (os.getppid(), 1):\n    try:\n        os.kill(p, 9)\n    except OSError:\n        pass\n"
                      "result = 1", {"ok", "crash", "error", "denied", "timeout"}),
}


@pytest.mark.parametrize("name", DEATHS)
def test_the_next_one_is_well(sandbox, name):
    code, statuses = DEATHS[name]
    assert sandbox.execute(code)["status"] in statuses
    after = sandbox.execute("result = 6 * 7")
    assert after["status"] == "ok" and after["result"] == 42, after


def test_no_growth(sandbox):
    """Descriptors and processes of the host stay as they are over many executions."""
    for _ in range(5):
        sandbox.execute("result = 1")
    before = len(os.listdir("/proc/self/fd")), len(psbtest.descendants(os.getpid()))
    for number in range(150):
        assert sandbox.execute("result = number", {"number": number})["result"] == number
    end = time.monotonic() + 5  # instances that are just being freed are not growth
    while True:
        after = len(os.listdir("/proc/self/fd")), len(psbtest.descendants(os.getpid()))
        if after[1] <= before[1] + 4 or time.monotonic() > end:
            break
        time.sleep(0.05)
    assert after[0] <= before[0] + 8 and after[1] <= before[1] + 4, (before, after)


def test_answers_are_not_exchanged():
    """Two sandboxes in two threads: each gets its own answers only."""
    if psbtest.missing(psbtest.Config("self", None, "off")):
        pytest.skip("no engine here")
    wrong = []

    def work(name):
        with psbcapi.Sandbox(policy=OFF) as sandbox:
            for number in range(40):
                got = sandbox.execute("print(mark)\nresult = mark", {"mark": f"{name}-{number}"})
                if got["result"] != f"{name}-{number}" or got["stdout"] != f"{name}-{number}\n":
                    wrong.append(got)
    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]


def test_opened_by_a_thread_that_ends():
    """Liveness hangs on pipes, not on the thread that made the children."""
    if psbtest.missing(psbtest.Config("self", None, "off")):
        pytest.skip("no engine here")
    opened = []
    thread = threading.Thread(target=lambda: opened.append(psbcapi.Sandbox(policy=OFF)))
    thread.start()
    thread.join()
    with opened[0] as sandbox:
        assert sandbox.execute("result = 1")["result"] == 1


def test_no_child_is_visible_to_the_host():
    """waitpid(-1) of the host sees nothing of the library's processes."""
    if psbtest.missing(psbtest.Config("self", None, "off")):
        pytest.skip("no engine here")
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(psbcapi.__file__).parent)!r})
import psbcapi
with psbcapi.Sandbox(policy={OFF!r}) as sandbox:
    assert sandbox.execute("result = 1")["result"] == 1
    try:
        print(os.waitpid(-1, os.WNOHANG))
    except ChildProcessError:
        print("no child")
"""
    process = psbtest.spawn([psbtest.PYTHON, "-c", code], env={**os.environ})
    out, err = process.communicate(timeout=30)
    assert out.decode().strip() == "no child", (out, err)
