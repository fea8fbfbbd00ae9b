"""Output and results: floods are cut at their caps, hostile values end in one correct outcome."""
import json

import pytest

FLOOD = {
    "print": "while True:\n    print('x' * 1000)",
    "write": "import os\nwhile True:\n    os.write(1, b'x' * 65536)",
    "stderr": "import os\nwhile True:\n    os.write(2, b'x' * 65536)",
    "both": "import os\nwhile True:\n    os.write(1, b'o' * 4096)\n    os.write(2, b'e' * 4096)",
    "single_bytes": "import os\nwhile True:\n    os.write(1, b'x')",
    "no_newline": "print('x' * (1 << 24), end='')",
    "threads": """
import os, threading
def talk():
    while True:
        os.write(1, b"x" * 4096)
for _ in range(8):
    threading.Thread(target=talk).start()
""",
    "children": """
import os
for _ in range(3):
    try:
        os.fork()
    except OSError:
        pass
while True:
    os.write(1, b"x" * 4096)
""",
    "at_exit": "import atexit, os\natexit.register(lambda: all(os.write(1, b'x' * 4096) for _ in iter(int, 1)))",
}


@pytest.mark.parametrize("name", FLOOD)
def test_flood_is_killed(exhaust, name):
    run = exhaust.run(FLOOD[name], {"output_limit"}, timeout=3.0, args=["--stdout-limit", "64K",
                                                                        "--stderr-limit", "64K"])
    streams = run.outcome["stdout"], run.outcome["stderr"]
    assert max(map(len, streams)) == 65536 and run.exit_code == 66
    assert any(run.outcome["truncated"].values())


def test_flood_truncated(exhaust):
    code = "for _ in range(2000):\n    print('x' * 99)\nresult = 'done'"
    run = exhaust.run(code, {"ok"}, timeout=3.0,
                      args=["--stdout-limit", "64K", "--on-output-limit", "truncate"])
    assert run.result == "done" and len(run.stdout) == 65536
    assert run.outcome["truncated"] == {"stdout": True, "stderr": False}


def test_endless_flood_truncated(exhaust):
    """Draining has its end too: 64 times the cap, or the wall."""
    run = exhaust.run(FLOOD["write"], {"output_limit", "timeout", "cpu_limit"}, timeout=1.5,
                      args=["--stdout-limit", "64K", "--on-output-limit", "truncate"])
    assert len(run.stdout) == 65536


def test_cut_at_a_character(exhaust):
    code = "import os\nwhile True:\n    os.write(1, '\\u20ac'.encode() * 1000)"
    run = exhaust.run(code, {"output_limit"}, timeout=3.0, args=["--stdout-limit", "64K"])
    assert set(run.stdout) == {"\u20ac"} and 65530 < len(run.stdout.encode()) <= 65536


RESULTS = {
    "endless_list": ("class E(list):\n    def __iter__(self):\n        while True: yield 1\nresult = E([1])",
                     {"ok", "error"}),
    "endless_generator": ("result = iter(int, 1)", {"error"}),
    "large": ("result = 'x' * (1 << 22)", {"result_limit"}),
    "large_list": ("result = list(range(1 << 20))", {"result_limit"}),
    "shared_exponentially": ("result = []\nfor _ in range(64):\n    result = [result, result]",
                             {"error", "result_limit"}),
    "shared_dicts": ("result = {}\nfor _ in range(64):\n    result = {'a': result, 'b': result}",
                     {"error", "result_limit"}),
    "cyclic": ("result = []\nresult.append(result)", {"error"}),
    "cyclic_dict": ("result = {}\nresult['x'] = [result]", {"error"}),
    "deep": ("result = []\nfor _ in range(100000):\n    result = [result]", {"error"}),
    "evil_repr": ("class E:\n    def __repr__(self):\n        while True: pass\nresult = E()", {"error"}),
    "evil_class": ("class E:\n    @property\n    def __class__(self):\n        while True: pass\nresult = E()",
                   {"error"}),
    "evil_str": ("class E(str):\n    def __str__(self): return E('x' * 99)\n    __iter__ = None\nresult = E('a')",
                 {"ok", "error"}),
    "evil_int": ("class E(int):\n    def __int__(self): return self\n    __repr__ = None\nresult = E(3)",
                 {"ok", "error"}),
    "growing_dict": ("""
class E(dict):
    def items(self):
        while True:
            yield 'x', 1
result = E(a=1)
""", {"ok", "error"}),
    "changed_while_read": ("""
import threading
result = {str(n): n for n in range(1000)}
def churn():
    n = 0
    while True:
        result[str(n % 5000)] = n
        result.pop(str((n * 7) % 5000), None)
        n += 1
threading.Thread(target=churn, daemon=True).start()
""", {"ok", "error"}),
    "million_digits": ("import sys\nsys.set_int_max_str_digits(0)\nresult = 10 ** 1000000", {"error", "result_limit"}),
    "two_dollars": ("result = {'$type': 'int', 'value': 'x' * (1 << 22)}", {"result_limit"}),
    "bytes": ("result = bytes(1 << 22)", {"result_limit"}),
    "surrogates": ("result = '\\ud800' * 10", {"ok", "error"}),
    "unset_at_exit": ("import atexit\nresult = 1\natexit.register(globals().pop, 'result')", {"ok"}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(exhaust, name):
    code, statuses = RESULTS[name]
    run = exhaust.run(code, statuses, timeout=4.0, args=["--result-limit", "1M"])
    if run.status == "result_limit":
        assert run.limit == "result" and "result" not in run.outcome and run.exit_code == 66
    if run.status == "error":
        assert run.error["type"] in ("ResultError", "RuntimeError"), str(run)
        assert len(run.error["message"]) < 4096


TEXTS = {
    "message": "raise ValueError('x' * (1 << 24))",
    "endless_str": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    "str_raises": "class E(Exception):\n    def __str__(self):\n        raise self\nraise E",
    "growing_str": "class E(Exception):\n    def __str__(self):\n        return 'x' * (1 << 40)\nraise E",
    "endless_repr": "class E(KeyError):\n    def __repr__(self):\n        while True: pass\nraise KeyError(E())",
    "chain": """
def chain(depth):
    try:
        if depth:
            chain(depth - 1)
    finally:
        raise ValueError("y" * 5000)
chain(300)
""",
    "cause_cycle": "a, b = ValueError(1), ValueError(2)\na.__cause__ = b\nb.__cause__ = a\nraise a",
    "deep_frames": "def f(n):\n    return f(n + 1) + 'x' * 10\nf(0)",
    "huge_name": "E = type('E' * (1 << 20), (Exception,), {})\nraise E('x')",
    "group": "raise ExceptionGroup('g' * 9999, [ValueError('v' * 9999)] * 2000)",
    "notes": "e = ValueError(1)\ne.__notes__ = ['n' * (1 << 20)] * 20\nraise e",
    "surrogate": "raise ValueError('\\ud800\\x00\\x1b[31m')",
    "long_line": "x = '" + "a" * 300000 + "'; raise ValueError(x)",
    "base_exception": "class E(BaseException):\n    pass\nraise E('base')",
    "excepthook": "import sys\nsys.excepthook = lambda *a: print('z' * 100) or 1 / 0\n1 / 0",
}


@pytest.mark.parametrize("name", TEXTS)
def test_exception_texts(exhaust, name):
    statuses = {"error"}
    if name.startswith(("endless", "growing")):
        statuses |= {"timeout", "cpu_limit", "memory_limit"}
    run = exhaust.run(TEXTS[name], statuses, timeout=2.0, args=["--on-output-limit", "truncate"])
    assert len(json.dumps(run.outcome)) < 4 << 20
    if run.status == "error":
        assert run.exit_code == 1 and len(run.error["traceback"]) <= 1 << 18


def test_large_source(exhaust):
    code = "total = 0\n" + "total += 1  # padding\n" * 200000 + "x = '" + "y" * (6 << 20) + "'\n"
    run = exhaust.run(code + "result = total", {"ok"}, timeout=20.0, memory="512M")
    assert run.result == 200000


def test_large_input(exhaust):
    inputs = {"rows": ["row \u20ac " + "z" * 1000] * 10000}
    run = exhaust.run("result = [len(rows), rows[-1]]", {"ok"}, timeout=10.0, inputs=inputs)
    assert run.result == [10000, inputs["rows"][0]]


def test_large_result(exhaust):
    run = exhaust.run("result = ['y' * 1000] * 10000", {"ok"}, timeout=10.0)
    assert run.result == ["y" * 1000] * 10000
