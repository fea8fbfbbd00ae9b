"""The outcome's contract through the command: schema, statuses, lines, values, output, files."""
import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

SCHEMA = psbtest.ROOT / "docs" / "outcome.schema.json"
ON = psbtest.Config("self", None, "on")
OFF = psbtest.Config("self", None, "off")
KEYS = {"version", "id", "tag", "status", "limit", "limits_hit", "error", "exit_code", "signal",
        "stdout", "stderr", "truncated", "files", "usage", "engine", "denied", "fallback"}
CONTROLS = {"memory", "cpu", "wall", "processes", "filesystem", "workspace", "network", "syscalls",
            "signals", "ipc", "privileges", "identity", "devices", "host_memory", "state_reset",
            "hardware_speculation", "imports"}


@pytest.fixture(scope="session", autouse=True)
def built():
    reason = psbtest.missing(ON)
    if reason:
        pytest.skip(reason)


def run(code, config=ON, **options):
    return psbtest.run(code, config, **options)


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


# name: (program, options, status, limit, exit code of the command)
STATUS = {
    "ok": ("result = 1", {}, "ok", None, 0),
    "ok_empty": ("", {}, "ok", None, 0),
    "ok_exit_zero": ("import sys\nresult = 2\nsys.exit(0)", {}, "ok", None, 0),
    "ok_exit_none": ("raise SystemExit", {}, "ok", None, 0),
    "error": ("1 / 0", {}, "error", None, 1),
    "syntax": ("x = (", {}, "error", None, 1),
    "exit": ("import sys\nsys.exit(7)", {}, "exit", None, 7),
    "exit_text": ("import sys\nsys.exit('no')", {}, "exit", None, 1),
    "exit_large": ("import sys\nsys.exit(200)", {}, "exit", None, 64),
    "exit_now": ("import os\nos._exit(3)", {}, "exit", None, 3),
    "exit_now_zero": ("import os\nos._exit(0)", {}, "exit", None, 64),
    "timeout": ("import time\ntime.sleep(100)", {"timeout": 0.3}, "timeout", "wall", 124),
    "cpu": ("while True: pass", {"args": ["--cpu", "0.1"]}, "cpu_limit", "cpu", 124),
    "output": ("while True: print('x' * 999)", {}, "output_limit", "stdout", 66),
    "stderr": ("import sys\nwhile True: print('x' * 999, file=sys.stderr)", {}, "output_limit", "stderr", 66),
    "result": ("result = 'x' * 5000", {"args": ["--result-limit", "4K"]}, "result_limit", "result", 66),
    "crash": ("import os\nos.abort()", {}, "crash", None, 70),
}


@pytest.mark.parametrize("name", STATUS)
def test_status(name):
    code, options, status, limit, exit_code = STATUS[name]
    got = run(code, **options)
    assert (got.status, got.limit, got.exit_code) == (status, limit, exit_code), str(got)
    check_form(got)


def check_form(got):
    outcome = got.outcome
    assert KEYS <= set(outcome) <= KEYS | {"result"}, set(outcome) ^ KEYS
    assert outcome["version"] == 1 and depth(outcome) <= 200
    assert outcome["engine"]["name"] == psbtest.ENGINE
    assert set(outcome["engine"]["controls"]) == CONTROLS
    assert outcome["engine"]["hash_seed"] == "template"
    assert (outcome["exit_code"] is not None) == (outcome["status"] == "exit")
    assert (outcome["signal"] is not None) == (outcome["status"] == "crash")
    assert outcome["usage"]["wall_ms"] > 0 and outcome["usage"]["queue_ms"] >= 0


@pytest.mark.skipif(not SCHEMA.exists(), reason="docs/outcome.schema.json is not there")
@pytest.mark.parametrize("name", STATUS)
def test_schema(name):
    jsonschema = pytest.importorskip("jsonschema")
    code, options, *_ = STATUS[name]
    jsonschema.validate(run(code, **options).outcome, json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("number", [1, 2, 3, 6, 8, 9, 11, 13, 14, 15])
def test_signals_to_oneself(number):
    """A program that kills itself has crashed of that signal, also where it is its namespace's init."""
    got = run(f"import os\nos.kill(os.getpid(), {number})\nimport time\ntime.sleep(5)",
              timeout=3.0)
    if number == 2:
        assert got.status == "error" and got.error["type"] == "KeyboardInterrupt"
    elif number == 13:
        assert got.status in ("timeout", "ok"), str(got)  # Python ignores SIGPIPE
    else:
        assert (got.status, got.signal) == ("crash", number), str(got)


def test_crash_has_a_python_traceback():
    got = run("import ctypes\ndef inner():\n    ctypes.string_at(0)\ninner()\n", OFF)
    assert got.status == "crash" and got.signal == 11
    text = json.dumps(got.outcome)
    assert "inner" in text and "line 3" in text, str(got)


LINES = {
    "first": ("1 / 0", 1),
    "last": ("x = 1\n\n\n1 / 0\n", 4),
    "function": ("def f():\n    return 1 / 0\n\nf()\n", 2),
    "inside_library": ("import json\n\njson.loads('{')\n", 3),
    "syntax": ("a = 1\nb = 2\nif a\n    pass\n", 3),
    "indent": ("if True:\npass\n", 2),
    "crlf": ("a = 1\r\nb = 2\r\n1 / 0\r\n", 3),
    "cr": ("a = 1\rb = 2\r1 / 0\r", 3),
    "bom": ("\ufeffa = 1\n1 / 0\n", 2),
    "form_feed": ("a = 1\n\x0c\n1 / 0\n", 3),
    "triple_quotes": ('a = """\n1\n2\n"""\n1 / 0\n', 5),
    "continued": ("a = 1\nb = (1 /\n     0)\n", 2),
    "coding": ("# coding: latin-1\na = 1\n1 / 0\n", 3),
    "callback": ("def f(x):\n    raise KeyError(x)\n\nsorted([1], key=f)\n", 2),
    "raised_again": ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise\n", 2),
    "in_class": ("class A:\n    x = 1\n    y = 1 / 0\n", 3),
}


@pytest.mark.parametrize("name", LINES)
def test_lines(name):
    code, line = LINES[name]
    got = run(code)
    assert got.status == "error" and got.error["line"] == line, str(got)
    assert f"line {line}" in got.error["traceback"]


def test_traceback_shows_the_users_lines():
    got = run("def outer():\n    inner()\ndef inner():\n    raise ValueError('why')\nouter()\n")
    for text in ("outer()", "inner()", "raise ValueError('why')", "ValueError: why", "Traceback"):
        assert text in got.error["traceback"], got.error["traceback"]
    assert "psb" not in got.error["traceback"] and got.outcome["stderr"] == got.error["traceback"]


# program text of a value, and its JSON
VALUES = {
    "None": None, "True": True, "False": False, "0": 0, "-1": -1, "2 ** 63 - 1": 2 ** 63 - 1,
    "-2 ** 63": -2 ** 63, "1.5": 1.5, "-0.0": -0.0, "1e308": 1e308, "5e-324": 5e-324, "''": "",
    "'a\\x00b'": "a\0b", "'\\u20ac\\U0001f600'": "\u20ac\U0001f600", "'\\n\\t\"\\\\/'": "\n\t\"\\/",
    "'\\u2028\\x7f\\x1b'": "\u2028\x7f\x1b", "[]": [], "[1, [2, []]]": [1, [2, []]], "(1, 2)": [1, 2],
    "{}": {}, "{'a': {'b': None}}": {"a": {"b": None}}, "{'': 1}": {"": 1},
    "2 ** 63": {"$type": "int", "value": str(2 ** 63)},
    "-10 ** 30": {"$type": "int", "value": str(-10 ** 30)},
    "float('nan')": {"$type": "float", "value": "nan"},
    "float('inf')": {"$type": "float", "value": "inf"},
    "-float('inf')": {"$type": "float", "value": "-inf"},
    "b'\\x00\\xff'": {"$type": "bytes", "base64": "AP8="},
    "bytearray(b'ab')": {"$type": "bytes", "base64": "YWI="},
    "__import__('datetime').date(2024, 2, 29)": {"$type": "date", "value": "2024-02-29"},
    "__import__('datetime').datetime(2024, 2, 29, 1, 2, 3)":
        {"$type": "datetime", "value": "2024-02-29T01:02:03"},
    "__import__('datetime').time(1, 2)": {"$type": "time", "value": "01:02:00"},
    "__import__('decimal').Decimal('1.10')": {"$type": "decimal", "value": "1.10"},
    "__import__('uuid').UUID(int=1)":
        {"$type": "uuid", "value": "00000000-0000-0000-0000-000000000001"},
    "{'$type': 1, 'b': 2}": {"$type": "dict", "value": [["$type", 1], ["b", 2]]},
    "{'x': {'$type': 'int'}}": {"x": {"$type": "dict", "value": [["$type", "int"]]}},
}


@pytest.mark.parametrize("text", VALUES)
def test_values_out(text):
    got = run(f"result = {text}")
    assert got.status == "ok" and got.result == VALUES[text], str(got)
    assert type(got.result) is type(VALUES[text])
    if isinstance(got.result, float):
        assert math.copysign(1, got.result) == math.copysign(1, VALUES[text])


@pytest.mark.parametrize("text", VALUES)
def test_values_in_and_out(text):
    """What came out goes in again and means the same thing, type and all."""
    want = {"bytearray(b'ab')": "b'ab'", "(1, 2)": "[1, 2]"}.get(text, text)
    code = (f"want = {want}\nresult = [repr(x) == repr(want), type(x) is type(want)]")
    got = run(code, inputs={"x": VALUES[text]})
    assert got.status == "ok" and got.result == [True, True], str(got)


NO_RESULT = {
    "set": "{1, 2}", "object": "object()", "function": "print", "class": "int", "complex": "1j",
    "int_key": "{1: 2}", "none_key": "{None: 1}", "tuple_key": "{(1,): 1}", "module": "__import__('os')",
    "nested": "[{'a': [1, {2}]}]", "generator": "(x for x in ())", "range": "range(3)",
    "exception": "ValueError(1)", "ellipsis": "...",
}


@pytest.mark.parametrize("name", NO_RESULT)
def test_values_that_cannot_be_returned(name):
    got = run(f"result = {NO_RESULT[name]}")
    assert got.status == "error" and got.error["type"] == "ResultError", str(got)
    assert "result" not in got.outcome


def test_result_error_names_the_path():
    got = run("result = {'rows': [1, {'cell': {3}}]}")
    assert "rows" in got.error["message"] and "cell" in got.error["message"], got.error
    assert "1" in got.error["message"]


def test_numpy_values():
    pytest.importorskip("numpy")
    got = run("import numpy as n\nresult = [n.int64(3), n.float32(0.5), n.bool_(True), n.array([[1, 2]])]",
              timeout=20.0)
    assert got.status == "ok" and got.result[:3] == [3, 0.5, True], str(got)
    assert got.result[3]["$type"] == "ndarray" and got.result[3]["data"] == [[1, 2]], str(got)


def test_result_is_read_when_the_code_has_ended():
    code = ("import atexit\nresult = [1]\nresult.append(2)\natexit.register(lambda: result.append(3))\n"
            "def f():\n    result = 'local'\nf()\n5\n")
    assert run(code).result[:2] == [1, 2]
    assert "result" not in run("5").outcome and "result" not in run("result = 1\ndel result").outcome
    assert run("result = None").outcome["result"] is None


def test_result_survives_an_error_only_as_documented():
    """An error is an error whatever result was set to."""
    got = run("result = 5\nraise ValueError")
    assert got.status == "error" and got.result in (None, 5)


def test_output():
    got = run("import sys, os\nprint('a', end='')\nsys.stdout.flush()\nos.write(1, b'b')\n"
              "print('c')\nprint('err', file=sys.stderr)\nos.write(1, b'\\xff\\xe2\\x82')\n")
    assert got.stdout == "abc\n\ufffd\ufffd" and got.outcome["stderr"] == "err\n", str(got)
    assert got.outcome["truncated"] == {"stdout": False, "stderr": False}


def test_output_without_newline_and_flush_is_kept():
    code = "import threading, sys\nsys.stdout.write('no newline')\nthreading.Thread(target=lambda: print('t', end='')).start()"
    assert sorted(run(code).stdout) == sorted("no newline" + "t")


def test_input_is_empty():
    got = run("result = [__import__('sys').stdin.read()]\ntry:\n    input()\nexcept EOFError:\n    result.append('eof')")
    assert got.result == ["", "eof"], str(got)


def test_files_and_environment_and_tag(tmp_path):
    (tmp_path / "in.bin").write_bytes(b"\x00data")
    got = run("import os\nresult = [open('d/x.bin', 'rb').read(), os.environ['K'], os.listdir()]",
              args=["--file", f"d/x.bin={tmp_path / 'in.bin'}", "--env", "K=v=w", "--tag", "mine"])
    assert got.status == "ok", str(got)
    assert got.result[0] == {"$type": "bytes", "base64": "AGRhdGE="} and got.result[1] == "v=w"
    assert got.outcome["tag"] == "mine" and "d" in got.result[2]


def test_import_lists():
    for name in ("subprocess", "socket", "ctypes", "multiprocessing", "pty"):
        got = run(f"import {name}")
        assert got.status == "error" and got.error["type"] == "ImportError", str(got)
        assert name in got.error["message"] and "default" in got.error["message"]
        assert {"kind": "import", "name": name} in got.outcome["denied"]
    got = run("import numpy.linalg" if "numpy" in sys.modules else "import asyncio, uuid, platform")
    assert got.status == "ok", "modules that an allowed module imports are not judged"
