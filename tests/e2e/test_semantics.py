"""Python in the cage is Python: the standard library and the data stack do what they do outside."""
import base64
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


# program: the value of result
PROGRAMS = {
    "os_and_paths": ("""
import os, pathlib, shutil
os.makedirs("a/b")
pathlib.Path("a/b/c.txt").write_text("x")
shutil.copytree("a", "copy")
os.rename("copy/b/c.txt", "moved.txt")
os.chmod("moved.txt", 0o600)
os.symlink("moved.txt", "link")
result = [sorted(p.as_posix() for p in pathlib.Path().rglob("*") if p.name != __file__), os.path.getsize("link"),
          os.getcwd() == os.environ["HOME"], os.stat("moved.txt").st_mode & 0o777, os.cpu_count() > 0]
""", [["a", "a/b", "a/b/c.txt", "copy", "copy/b", "link", "moved.txt"], 1, True, 0o600, True]),
    "tempfile": ("""
import os, tempfile
with tempfile.NamedTemporaryFile("w+", delete=False) as f:
    f.write("x")
with tempfile.TemporaryDirectory() as d, tempfile.SpooledTemporaryFile() as s:
    s.write(b"y" * 100)
    s.rollover()
    result = [open(f.name).read(), os.path.isdir(d), len({tempfile.mktemp() for _ in range(9)})]
os.unlink(f.name)
""", ["x", True, 9]),
    "io": ("""
import io, os
r, w = os.pipe()
with os.fdopen(w, "wb", buffering=0) as out, os.fdopen(r, "rb") as inp:
    out.write(b"line\\n")
    first = inp.readline()
buffered = io.BufferedRandom(open("x", "w+b", buffering=0))
buffered.write(b"0123456789")
buffered.seek(4)
with open("t", "w", encoding="utf-16", newline="\\r\\n") as t:
    t.write("a\\nb")
result = [first, buffered.peek(2)[:2], open("t", encoding="utf-16", newline="").read(), io.BytesIO(b"z").getvalue()]
""", [{"$type": "bytes", "base64": "bGluZQo="}, {"$type": "bytes", "base64": "NDU="}, "a\r\nb",
      {"$type": "bytes", "base64": "eg=="}]),
    "asyncio": ("""
import asyncio, time
async def child(n):
    await asyncio.sleep(0.01)
    return n * n
async def main():
    loop = asyncio.get_running_loop()
    tasks = [asyncio.create_task(child(n)) for n in range(5)]
    blocking = await asyncio.to_thread(time.sleep, 0.01)
    pooled = await loop.run_in_executor(None, sum, range(10))
    event = asyncio.Event()
    loop.call_later(0.01, event.set)
    await asyncio.wait_for(event.wait(), 1)
    return await asyncio.gather(*tasks), blocking, pooled
result = asyncio.run(main())
""", [[0, 1, 4, 9, 16], None, 45]),
    "threading": ("""
import queue, threading
q, out = queue.Queue(), []
def work():
    while (item := q.get()) is not None:
        out.append(item * 2)
local = threading.local()
threads = [threading.Thread(target=work, name=f"w{n}") for n in range(4)]
for t in threads: t.start()
for n in range(20): q.put(n)
for t in threads: q.put(None)
for t in threads: t.join()
barrier = threading.Barrier(3)
more = [threading.Thread(target=barrier.wait) for _ in range(2)]
for t in more: t.start()
barrier.wait()
timer = threading.Timer(0.01, out.append, [99]); timer.start(); timer.join()
result = [sorted(out), threading.active_count() >= 1]
""", [[*range(0, 40, 2), 99], True]),
    "futures": ("""
from concurrent.futures import ThreadPoolExecutor, as_completed
with ThreadPoolExecutor(4) as pool:
    futures = [pool.submit(pow, n, 2) for n in range(6)]
    bad = pool.submit(int, "x")
    result = [sorted(f.result() for f in as_completed(futures)), type(bad.exception()).__name__]
""", [[0, 1, 4, 9, 16, 25], "ValueError"]),
    "pickle_of_main": ("""
import copy, pickle
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: list
p = Point(1, [2])
q = pickle.loads(pickle.dumps(p, 5))
result = [q == p, q is not p, copy.deepcopy(p) == p, Point.__module__, pickle.loads(pickle.dumps(Point)) is Point]
""", [True, True, True, "__main__", True]),
    "decimal_and_re": ("""
import re
from decimal import Decimal, localcontext
with localcontext() as c:
    c.prec = 50
    x = str(Decimal(1) / 7)
result = [x, re.sub(r"(?P<a>\\w)\\d", r"\\g<a>!", "a1b2"), str(Decimal("1e400") * 10)]
""", ["0.14285714285714285714285714285714285714285714285714", "a!b!", "1.0E+401"]),
    "sqlite": ("""
import os, sqlite3
memory = sqlite3.connect(":memory:")
memory.execute("create table t (x)")
with sqlite3.connect("file.db") as db:
    db.execute("pragma journal_mode=wal").fetchall()
    db.execute("create table t (x integer primary key, y text)")
    db.executemany("insert into t (y) values (?)", [(str(n),) for n in range(100)])
db.close()
result = [sqlite3.connect("file.db").execute("select count(*), max(x) from t").fetchone(), os.path.exists("file.db")]
""", [[100, 100], True]),
    "zoneinfo": ("""
from datetime import datetime, timezone
from zoneinfo import ZoneInfo
summer = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
result = [summer.utcoffset().seconds, summer.astimezone(timezone.utc).hour, summer.tzname(),
          datetime(2024, 1, 1, tzinfo=ZoneInfo("America/New_York")).tzname()]
""", [7200, 10, "CEST", "EST"]),
    "text": ("""
import locale, sys, unicodedata
result = [unicodedata.normalize("NFKD", "\\ufb01"), sys.getfilesystemencoding(), sys.stdout.encoding,
          "\\u00e9".encode("idna").decode(), "\\u0130".lower() == "i\\u0307", locale.getpreferredencoding(False).lower()]
""", ["fi", "utf-8", "utf-8", "xn--9ca", True, "utf-8"]),
    "json_and_csv": ("""
import csv, io, json
text = io.StringIO()
csv.DictWriter(text, ["a", "b"]).writerows([{"a": 1, "b": "x,y"}])
result = [text.getvalue(), json.loads('{"a": [1, 2.5e3, null], "b": "\\\\u00e9"}')]
""", ["1,\"x,y\"\r\n", {"a": [1, 2500.0, None], "b": "é"}]),
    "main_module": ("""
import __main__, sys, inspect
def f(): pass
result = [__name__, __main__.f is f, sys.argv, inspect.getsource(f).strip(), __file__ == sys.argv[0], sys.flags.optimize]
""", None),
    "logging": ("""
import io, logging
stream = io.StringIO()
logging.basicConfig(stream=stream, format="%(levelname)s:%(message)s", level=logging.INFO)
logging.info("hello %s", "you")
logging.debug("no")
result = stream.getvalue()
""", "INFO:hello you\n"),
    "signals": ("""
import signal, time
seen = []
signal.signal(signal.SIGALRM, lambda *a: seen.append("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(0.05)
signal.signal(signal.SIGUSR1, lambda *a: seen.append("usr1"))
signal.raise_signal(signal.SIGUSR1)
result = seen
""", ["alarm", "usr1"]),
    "fork": ("""
import os
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(w, b"child")
    os._exit(5)
result = [os.read(r, 9).decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
""", ["child", 5]),
    "workspace_module": ("""
open("helper.py", "w").write("VALUE = 42\\ndef f():\\n    return __name__")
import helper
result = [helper.VALUE, helper.f()]
""", [42, "helper"]),
    "time": ("""
import time
a, b = time.monotonic(), time.perf_counter()
time.sleep(0.02)
result = [time.monotonic() - a >= 0.019, 1.7e9 < time.time() < 4e9, time.strftime("%Y", time.gmtime(0)),
          time.process_time() >= 0, time.get_clock_info("monotonic").monotonic]
""", [True, True, "1970", True, True]),
    "zip": ("""
import io, tarfile, zipfile
with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("a/b.txt", "x" * 1000)
with tarfile.open("x.tgz", "w:gz") as t:
    t.add("x.zip")
result = [zipfile.ZipFile("x.zip").namelist(), tarfile.open("x.tgz").getnames()]
""", [["a/b.txt"], ["x.zip"]]),
    "unittest": ("""
import io, unittest
class T(unittest.TestCase):
    def test_a(self): self.assertEqual(1, 1)
    def test_b(self): self.assertEqual(1, 2)
out = unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(T))
result = [out.testsRun, len(out.failures)]
""", [2, 1]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_standard_library(config, name):
    code, value = PROGRAMS[name]
    if name == "fork" and psbtest.ENGINE == "microvm":
        pytest.skip("there are no processes in the machine (docs/design/microvm.md)")
    if name == "fork" and config.rung in ("B", "C"):
        pytest.skip("without a control group there is no fork (docs/security.md)")
    run = psbtest.run(code, config, timeout=10.0)
    assert run.status == "ok", str(run)
    if name == "os_and_paths" and config.rung in ("C", "D"):
        run.result[3] = value[3]  # modes cannot be changed without a mount namespace
    if value is not None:
        assert run.result == value, str(run)
    else:
        assert run.result[:2] == ["__main__", True] and run.result[3:] == ["def f(): pass", True, 0], str(run)


def test_asyncio_streams_over_a_socketpair(config):
    """An echo without any address: both ends are the program's own."""
    config = psbtest.Config(config.user, config.rung, "off")
    code = """
import asyncio, socket
async def main():
    a, b = socket.socketpair()
    ra, wa = await asyncio.open_connection(sock=a)
    rb, wb = await asyncio.open_connection(sock=b)
    wa.write(b"ping\\n")
    await wa.drain()
    wb.write((await rb.readline()).upper())
    await wb.drain()
    answer = await ra.readline()
    wa.close(); wb.close()
    return answer.decode()
result = asyncio.run(main())
"""
    run = psbtest.run(code, config, timeout=10.0)
    assert run.status == "ok" and run.result == "PING\n", str(run)


def test_numpy(config):
    pytest.importorskip("numpy")
    code = """
import numpy as np
a = np.arange(12.0).reshape(3, 4)
rng = np.random.default_rng(1)
np.save("a.npy", a)
result = [(a @ a.T).tolist(), round(float(np.linalg.det(np.eye(3) * 2)), 9), np.load("a.npy").shape,
          np.fft.fft([1, 0, 0, 0]).real.tolist(), rng.integers(0, 10, 3).shape, float(np.sort(a.ravel())[-1])]
"""
    run = psbtest.run(code, config, timeout=30.0)
    assert run.status == "ok", str(run)
    assert run.result[0][0] == [14.0, 38.0, 62.0] and run.result[1:4] == [8.0, [3, 4], [1.0] * 4]


def test_numpy_with_eight_threads(config):
    pytest.importorskip("numpy")
    code = """
import numpy as np
from concurrent.futures import ThreadPoolExecutor
def work(n):
    a = np.full((200, 200), float(n))
    return float((a @ a)[0, 0])
with ThreadPoolExecutor(8) as pool:
    result = list(pool.map(work, range(8)))
"""
    run = psbtest.run(code, config, timeout=30.0, memory="256M")
    assert run.status == "ok" and run.result == [200.0 * n * n for n in range(8)], str(run)


def test_pandas(config):
    pytest.importorskip("pandas")
    code = """
import io, pandas as pd
df = pd.read_csv(io.StringIO("k,v\\na,1\\nb,2\\na,3\\n"))
df.to_csv("out.csv", index=False)
result = [df.groupby("k")["v"].sum().to_dict(), len(pd.read_csv("out.csv")), str(pd.Timestamp("2024-02-29").date())]
"""
    run = psbtest.run(code, config, timeout=60.0)
    assert run.status == "ok" and run.result == [{"a": 4, "b": 2}, 3, "2024-02-29"], str(run)


def test_matplotlib(config, tmp_path):
    pytest.importorskip("matplotlib")
    code = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], label="x")
plt.title("Title \\u20ac")
plt.legend()
plt.savefig("plot.png")
plt.savefig("plot.svg")
result = open("plot.png", "rb").read(4)
"""
    run = psbtest.run(code, config, timeout=90.0)
    assert run.status == "ok", str(run)
    assert base64.b64decode(run.result["base64"]) == b"\x89PNG"
