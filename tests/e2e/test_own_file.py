"""A program that came from a file finds itself under that name, as it would outside."""
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

CONFIGS = psbtest.offered((psbtest.Config("self", None, "on"), psbtest.Config("user", "B", "on"),
                           psbtest.Config("root", "C", "on")))


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def config(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


def test_it_can_read_itself(config):
    code = "import os\nresult = [open(__file__).read(), os.listdir(), os.path.isfile(__file__)]\n"
    run = psbtest.run(code, config)
    assert run.status == "ok", str(run)
    assert run.result == [code, [run.result[1][0]], True], str(run)


# What the interpreter prints of its own accord, with the program's lines read from its file.
DISPLAYS = {
    "warning": "import warnings\nwarnings.warn('careful')\n",
    "thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='T')\nt.start()\nt.join()\n",
    "unraisable": "class D:\n    def __del__(self):\n        raise ValueError(self.x)  # here\nD()\n",
    "stack": "import traceback\ndef f():\n    traceback.print_exc()\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    f()\n",
    "stack_of_main": "import traceback\ntraceback.print_stack()\n",
    "warning_above_main": "import warnings\nwarnings.warn('careful', stacklevel=2)\n",
    "logged_stack": "import logging\nlogging.warning('x', stack_info=True)\n",
    "asyncio": "import asyncio\nasync def f():\n    pass\nf()\n",
}


def without_addresses(text):
    return [line.partition(" at 0x")[0] for line in text.splitlines()]


@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_are_those_of_plain_python(config, tmp_path, name):
    run = psbtest.run(DISPLAYS[name], config)
    path = tmp_path / "plain.py"
    path.write_text(DISPLAYS[name])
    plain = subprocess.run([psbtest.PYTHON, "-I", path], capture_output=True, text=True, check=False,
                           env=psbtest.environment())
    own_name = run.outcome["stderr"].replace(str(path), "")
    assert run.status == "ok", str(run)
    names = {word.strip('",:0123456789') for word in own_name.split() if "run-" in word}
    assert len(names) <= 1, names
    expected = plain.stderr.replace(str(path), names.pop() if names else "")
    assert without_addresses(own_name) == without_addresses(expected)


def test_nothing_is_below_the_program(config):
    code = """
import inspect, sys
def depth():
    frame, n = sys._getframe(), 0
    while frame.f_back:
        frame, n = frame.f_back, n + 1
    return n
def deepest(n):
    try:
        return deepest(n + 1)
    except RecursionError:
        return n
last = [name for name in dir(sys) if name.startswith('last_')]
result = [depth(), len(inspect.stack()), sys._getframe().f_back, deepest(0), last, list(sys.exc_info())]
sys.stdout.write(repr(sys.excepthook))
"""
    run = psbtest.run(code, config)
    plain = subprocess.run([psbtest.PYTHON, "-c", code + "\nprint(deepest(0), file=sys.stderr)"], capture_output=True,
                           text=True, check=False, env=psbtest.environment())
    assert run.result == [1, 1, None, int(plain.stderr), [], [None, None, None]], str(run)
    assert run.stdout == plain.stdout


def collected(config, out, code, args=()):
    run = psbtest.run(code, config, args=["--output", str(out), *args])
    assert run.status == "ok", str(run)
    return {item["name"]: (out / item["name"]).read_bytes() for item in run.files}


@pytest.fixture
def out(config):
    path = psbtest.session_dir() / "home" / "own-file-output"
    path.mkdir(exist_ok=True)
    path.chmod(0o777)
    yield path
    for left in path.iterdir():
        left.unlink()
    path.rmdir()


def test_it_is_no_output_unless_changed(config, out):
    assert collected(config, out, "open('data', 'w').write('x')\n") == {"data": b"x"}
    code = "open(__file__, 'a').write('# more')\nopen('f', 'w').write(__file__)\n"
    files = collected(config, out, code)
    assert files[files["f"].decode()] == code.encode() + b"# more" and len(files) == 2


def test_a_file_of_the_request_goes_first(config, out):
    given = psbtest.write_file("given.txt", "given")
    name = f"run-{next(psbtest._serial) + 1}.py"  # what the next program's file will be called
    run = psbtest.run("result = [__file__, open(__file__).read()]", config,
                      args=["--file", f"{name}={given}"])
    assert run.result == [name, "given"], str(run)
