"""Heavy programs end alike on every engine: status, limit, limits_hit, error, line, result.

Each row is what plain Linux with the same limits makes of the program (256 MB, 64 MB of files).
"""
import concurrent.futures

import endings
import psbtest
import pytest

CONFIG = psbtest.BEST
AT_ONCE = 3
# name: (code, what must be in the outcome); what is not named must be that of an ok run.
PROGRAMS = {
    "numpy_fills_memory": ("import numpy\nkept = []\nwhile True: kept.append(numpy.ones(1 << 20))",
                           {"error": ("MemoryError", 3), "limits_hit": ["memory"], "peak": 200 << 20}),
    "numpy_too_large": ("import numpy\na = numpy.zeros(1 << 33)",
                        {"error": ("MemoryError", 2), "limits_hit": ["memory"]}),
    "numpy_within": ("import numpy\nresult = float(numpy.ones(20_000_000).sum())",
                     {"result": 20_000_000.0, "peak": 150 << 20}),
    "numpy_caught": ("import numpy\ntry: numpy.ones(1 << 28)\nexcept MemoryError: result = 'caught'",
                     {"result": "caught"}),
    "list_of_three_million": ("result = len(list(range(3_000_000)))", {"result": 3_000_000}),
    "list_doubles": ("a = [0]\nwhile True: a += a", {"error": ("MemoryError", 2), "limits_hit": ["memory"]}),
    "string_doubles": ("s = 'x'\nwhile True: s += s", {"error": ("MemoryError", 2), "limits_hit": ["memory"]}),
    "bytes_beyond": ("b = bytearray(300_000_000)", {"error": ("MemoryError", 1), "limits_hit": ["memory"]}),
    "mapping_beyond": ("import mmap\nm = mmap.mmap(-1, 1 << 30)", {"error": ("OSError", 2), "limits_hit": ["memory"]}),
    "power_tower": ("x = 9 ** 9 ** 9", {"status": "timeout", "limit": "wall"}),
    "peak_of_a_timeout": ("b = bytearray(b'x') * (100 << 20)\nwhile True: pass",
                          {"status": "timeout", "limit": "wall", "peak": 100 << 20}),
    "regex_catastrophe": ("import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')", {"status": "timeout", "limit": "wall"}),
    "regex_in_a_thread": ("import re, threading\nt = threading.Thread(target=re.match, args=(r'(a+)+$', 'a' * 40 + 'b'))\n"
                          "t.start()\nt.join()", {"status": "timeout", "limit": "wall"}),
    "recursion": ("def f(n): return f(n + 1)\nf(0)", {"error": ("RecursionError", 1)}),
    "recursion_to_50000": ("import sys\nsys.setrecursionlimit(60000)\ndef f(n): return n and f(n - 1) + 1\n"
                           "result = f(50000)", {"result": 50000}),
    "recursion_in_c": ("import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n    def __getattr__(self, name): "
                       "return getattr(self, name)\nA().x", {"status": "crash", "signal": 11, "error": ("SIGSEGV", None)}),
    "recursion_in_repr": ("import sys\nsys.setrecursionlimit(10 ** 8)\na = []\nfor _ in range(300_000): a = [a]\nrepr(a)",
                          {"status": "crash", "signal": 11, "error": ("SIGSEGV", None)}),
    "deep_list_dies": ("a = None\nfor _ in range(1_000_000): a = [a]\ndel a\nresult = 1", {"result": 1}),
    "thread_with_a_large_stack": (
        "import sys, threading\nsys.setrecursionlimit(10 ** 6)\nthreading.stack_size(64 << 20)\n"
        "def f(n): return n and f(n - 1) + 1\nresult = []\nt = threading.Thread(target=lambda: result.append(f(100_000)))\n"
        "t.start()\nt.join()", {"result": [100_000]}),
    "wild_pointers": ("import ctypes\nctypes.string_at(0x1f0000000)",
                      {"status": "crash", "signal": 11, "error": ("SIGSEGV", None)}),
    "thousand_files": ("for i in range(1000): open(f'f{i}', 'w').write(str(i))\n"
                       "result = sum(int(open(f'f{i}').read()) for i in range(1000))", {"result": 499_500}),
    "files_beyond": ("for i in range(3000): open(f'f{i}', 'w').write('x')",
                     {"error": ("OSError", 1), "limits_hit": ["workspace"]}),
    "names_beyond": ("import os\nopen('a', 'w').close()\nfor i in range(100_000): os.link('a', f'l{i}')",
                     {"error": ("OSError", 3), "limits_hit": ["workspace"]}),
    "bytes_of_files_beyond": ("f = open('x', 'wb')\nfor i in range(200): f.write(b'x' * (1 << 20))",
                              {"error": ("OSError", 2), "limits_hit": ["workspace"]}),
    "sixty_megabytes_of_files": ("f = open('x', 'wb')\nfor i in range(60): f.write(b'x' * (1 << 20))\nf.close()\n"
                                 "import os\nresult = os.path.getsize('x') >> 20", {"result": 60}),
    "threads_beyond": ("import threading, time\nts = [threading.Thread(target=time.sleep, args=(.5,)) for _ in range(200)]\n"
                       "for t in ts: t.start()", {"error": ("RuntimeError", 3), "limits_hit": ["processes"]}),
    "descriptors_beyond": ("kept = []\nwhile True: kept.append(open('/dev/null'))",
                           {"error": ("OSError", 2), "limits_hit": ["open_files"]}),
    "result_beyond": ("result = 'x' * (20 << 20)", {"status": "result_limit", "limit": "result"}),
    "database_in_a_file": (
        "import sqlite3\nc = sqlite3.connect('a.db')\nc.execute('create table t(a, b)')\n"
        "c.executemany('insert into t values(?, ?)', ((i, str(i)) for i in range(100_000)))\nc.commit()\n"
        "result = list(c.execute('select sum(a), count(*) from t').fetchone())", {"result": [4_999_950_000, 100_000]}),
    "archive_of_two_thousand": (
        "import zipfile\nwith zipfile.ZipFile('a.zip', 'w') as z:\n    for i in range(2000): z.writestr(f'{i}', str(i))\n"
        "result = len(zipfile.ZipFile('a.zip').namelist())", {"result": 2000}),
    "inflated": ("import zlib\nresult = len(zlib.decompress(zlib.compress(b'x' * (60 << 20))))", {"result": 60 << 20}),
    "frames_of_a_table": ("import io, pandas\nframe = pandas.read_csv(io.StringIO('a,b\\n' + '1,2\\n' * 50_000))\n"
                          "result = int(frame.a.sum())", {"result": 50_000}),
    "chart": ("import matplotlib\nmatplotlib.use('Agg')\nfrom matplotlib import pyplot\npyplot.plot([1, 2, 3])\n"
              "pyplot.savefig('x.png')\nresult = open('x.png', 'rb').read(4).hex()", {"result": "89504e47"}),
    "ten_megabytes_of_source": (("x = 1  # " + "x" * 990 + "\n") * 10_000 + "result = x\n", {"result": 1}),
    "statements_beyond": ("x = 1\n" * 1_700_000, {"error": ("MemoryError", None), "limits_hit": ["memory"]}),
}


def found(run):
    error = run.error or {}
    return {"status": run.status, "limit": run.limit, "limits_hit": run.outcome["limits_hit"],
            "error": (error.get("type"), error.get("line")), "signal": run.signal, "result": run.result}


def problem(name):
    code, wanted = PROGRAMS[name]
    wanted = dict(wanted)
    peak = wanted.pop("peak", 0)
    status = "error" if "error" in wanted else "ok"
    wall_s = 3.0 if wanted.get("status") == "timeout" else 60.0
    run = psbtest.run(code, CONFIG, timeout=wall_s)
    default = {"status": status, "limit": None, "limits_hit": [], "error": (None, None), "signal": None, "result": None}
    got, wanted = found(run), default | wanted
    if wanted["status"] in ("timeout", "result_limit"):
        wanted["error"] = ("LimitExceeded", None)
    if got != wanted:
        return f"{name}:\n  found:  {got}\n  wanted: {wanted}"
    if run.usage["memory_peak_bytes"] < peak:
        return f"{name}: a peak of {run.usage['memory_peak_bytes']} bytes, wanted {peak}"
    return ""


def test_heavy_programs_end_alike():
    endings.require(CONFIG)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        problems = [text for text in pool.map(problem, PROGRAMS) if text]
    assert not problems, f"{len(problems)} of {len(PROGRAMS)}\n" + "\n".join(problems)


@pytest.mark.parametrize("count, size", [(300, 1000), (3, 5_000_000)])
def test_files_come_out_whole(tmp_path, count, size):
    endings.require(CONFIG)
    code = (f"import os\nfor i in range({count}):\n    os.makedirs(f'd{{i % 7}}', exist_ok=True)\n"
            f"    open(f'd{{i % 7}}/f{{i}}', 'wb').write(i.to_bytes(4, 'big') * ({size} // 4))")
    run = psbtest.run(code, CONFIG, timeout=60.0, args=["--output", str(tmp_path)])
    assert run.status == "ok", str(run)
    assert len(run.files) == count
    for i in range(count):
        assert (tmp_path / f"d{i % 7}" / f"f{i}").read_bytes() == i.to_bytes(4, "big") * (size // 4)
