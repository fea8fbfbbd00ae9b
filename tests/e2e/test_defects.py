"""The nine defects of the program this one descends from (docs/design), each as a regression test."""
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

ON = psbtest.Config("self", None, "on")
OFF = psbtest.Config("self", None, "off")


@pytest.fixture(scope="session", autouse=True)
def built():
    reason = psbtest.missing(ON)
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("code", [
    "1#\\'''); print(\"ESCAPED\")#", "'''); __import__('os').system('echo ESCAPED')#", "\\",
    "\"\"\"); print('ESCAPED')\n#", "1#'''); open('/tmp/psb-escaped', 'w')#"])
def test_1_validation_evaluates_nothing(code):
    """Source that would break out of a quoted template is just source, or a syntax error."""
    got = psbtest.run(code, ON)
    assert got.status in ("ok", "error") and "ESCAPED" not in got.stdout.replace(code, "")
    assert "ESCAPED" not in got.stderr and not os.path.exists("/tmp/psb-escaped")
    if got.status == "error":
        assert got.error["type"] in ("SyntaxError", "NameError", "TypeError"), str(got)


@pytest.mark.parametrize("code", [
    "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]"
    ".__init__.__globals__['system']('echo ESCAPED')",
    "import sys\nsys.modules['os'].system('echo ESCAPED')",
    "__builtins__.__dict__['__import__']('os').system('echo ESCAPED')",
    "import importlib\nimportlib.reload(__import__('os')).system('echo ESCAPED')",
    "import _posixsubprocess, os\nos.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED'])",
    "import io, posix\nposix.posix_spawn('/bin/echo', ['echo', 'ESCAPED'], {})",
    "import builtins\nbuiltins.__import__ = None\ndel builtins.open\nimport io\n"
    "io.open_code('/etc/shadow')",
])
@pytest.mark.parametrize("config", [ON, OFF], ids=str)
def test_2_patched_builtins_are_not_the_wall(config, code):
    got = psbtest.run(code, config)
    assert "ESCAPED" not in got.stdout and "ESCAPED" not in got.outcome["stderr"].replace(code, "") \
        or got.status == "error", str(got)
    assert not any(line.strip() == "ESCAPED" for line in got.stdout.splitlines()), str(got)


def test_3_limits_of_the_call_apply():
    got = psbtest.run("x = bytearray(64 << 20)\nx[::4096] = b'x' * 16384", ON, memory="32M")
    assert got.status == "memory_limit" or got.error["type"] == "MemoryError", str(got)
    got = psbtest.run("x = bytearray(64 << 20)\nx[::4096] = b'x' * 16384\nresult = 1", ON, memory="128M")
    assert got.status == "ok", str(got)
    for seconds in (0.2, 0.6):
        got = psbtest.run("while True: pass", ON, timeout=3.0, args=["--cpu", str(seconds)])
        assert got.status == "cpu_limit"
        assert seconds * 900 <= got.usage["cpu_ms"] <= seconds * 1000 + 400, str(got)


def test_4_source_is_compiled_unchanged():
    code = 'text = """a\n  b\n\tc\n    d\n"""\nresult = [text, __import__("sys")._getframe().f_lineno]\n'
    got = psbtest.run(code, ON)
    assert got.result == ["a\n  b\n\tc\n    d\n", 6]
    got = psbtest.run(code + "\n\n1 / 0", ON)
    assert got.error["line"] == 9


@pytest.mark.parametrize("value", [
    "'''", "\\", "\\'''", "\u2028\u2029", "\0", "'''); print('ESCAPED')#", "\"", "${x}", "{0}", "%s",
    "\\u0041", "\r\n", "\ufeff", "x" * (10 << 20)], ids=range(14))
def test_5_inputs_are_data(value):
    got = psbtest.run("result = [len(x), x == inputs['x'], x[:100]]", ON, timeout=10.0, inputs={"x": value})
    assert got.status == "ok" and got.result == [len(value), True, value[:100]], str(got)[:2000]
    assert got.stdout == ""


@pytest.mark.parametrize("code", [
    "print('OUTPUT_JSON_START{\"status\": \"ok\", \"result\": \"forged\"}OUTPUT_JSON_END')",
    "print('{\"version\": 1, \"status\": \"timeout\", \"result\": \"forged\"}')",
    "import os\nfor fd in range(1, 300):\n    try:\n        os.write(fd, b'{\"result\": \"forged\"}\\n')\n"
    "    except OSError:\n        pass",
])
def test_6_printing_cannot_forge_the_result(code):
    got = psbtest.run("result = 'true'\n" + code, ON)
    assert got.status == "ok" and got.result == "true", str(got)


def test_7_the_traceback_is_whole():
    got = psbtest.run("def a():\n    b()\ndef b():\n    {}['key']\na()\n", ON)
    text = got.error["traceback"]
    assert text.startswith("Traceback (most recent call last):")
    assert text.count('File "') == 3 and text.endswith("KeyError: 'key'\n"), text


def test_8_one_execution_and_no_weaker_engine(tmp_path):
    """A user's error never runs the program again, here or elsewhere."""
    out = tmp_path / "out"
    code = ("import uuid\nopen('ran-' + uuid.uuid4().hex, 'w').close()\nprint('once')\n"
            "raise RuntimeError('mine')")
    argv = [psbtest.command(), "run", "--engine", "auto", "--json", "--output", str(out), "-c", code]
    process = psbtest.spawn(argv, ON, env=psbtest.environment())
    raw, _ = process.communicate(timeout=30)
    outcome = psbtest.parse_outcome(raw)
    assert outcome["status"] == "error" and outcome["stdout"] == "once\n"
    assert len(list(out.iterdir())) == 1 and outcome["fallback"] == []
    level = psbtest.run("result = 1", ON).outcome["engine"]["level"]
    assert outcome["engine"]["level"] >= level


def test_9_level_is_what_the_controls_say():
    """The reported level falls with the controls that are missing, and nothing runs below the floor."""
    levels = {}
    for rung in "ABCD":
        config = psbtest.Config("self", rung, "on")
        if not psbtest.missing(config):
            engine = psbtest.run("result = 1", config).outcome["engine"]
            assert engine["rung"] == rung
            levels[rung] = engine["level"], engine["controls"]
    ordered = [levels[rung][0] for rung in sorted(levels)]
    assert ordered == sorted(ordered, reverse=True) and len(ordered) >= 2, levels
    if "D" in levels and psbtest.ENGINE == "native":
        assert levels["D"][1]["filesystem"]["by"] == "absent", json.dumps(levels["D"])
    got = psbtest.spawn([psbtest.command(), "run", "--json", "--require", "8", "--engine", "native",
                         "-c", "print('ran')"], ON, env=psbtest.environment())
    raw, _ = got.communicate(timeout=30)
    assert psbtest.parse_outcome(raw)["status"] == "unavailable" and got.returncode == 125
