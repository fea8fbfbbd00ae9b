"""Shared libraries in a machine lie in a window of their own (docs/design/microvm.md): text is the
image's and cannot be written, data is memory and new in every execution, files are still files."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no access to /dev/kvm")

OFF = '{"imports":{"mode":"off"}}'
WINDOW = 0x600000000
# A library of _sqlite3 is mapped by its import, in the execution itself; libc was at the start.
PRELUDE = f"""
import ctypes, errno, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value
def areas():
    for line in open('/proc/self/maps'):
        ends, prot = line.split()[:2]
        start, end = (int(word, 16) for word in ends.split('-'))
        yield start, end, prot
def area_of(at):
    return next(area for area in areas() if area[0] <= at < area[1])
def protect(at, prot):
    start = at & -4096
    return errno.errorcode[ctypes.get_errno()] if libc.mprotect(start, 4096, prot) else 'ok'
window = lambda at: {WINDOW} <= at < {WINDOW} + (1 << 30)
"""


@pytest.fixture(scope="module")
def box(pysandbox):
    assert pysandbox("image", "build", timeout=300).code == 0
    box = psbcapi.Sandbox(engine="microvm", policy=OFF, pool_size=1)
    yield box
    box.close()


def result(box, code):
    outcome = box.execute(PRELUDE + code)
    assert outcome["status"] == "ok", outcome
    return outcome["result"]


def test_libraries_lie_in_the_window(box):
    assert result(box, """
import _sqlite3
text = address(libc.memcpy)
mapped = [area for area in areas() if window(area[0])]
result = [window(text), area_of(text)[2], sorted({area[2] for area in mapped} - {'---p'})]
""") == [True, "r-xp", ["r--p", "r-xp", "rw-p"]]


@pytest.mark.parametrize("where", ["function", "constant"])
def test_what_is_read_only_is_no_memory(box, where):
    target = {"function": "address(libc.memcpy)",
              "constant": "next(a[0] for a in areas() if window(a[0]) and a[2] == 'r--p')"}[where]
    outcome = box.execute(PRELUDE + f"ctypes.memset({target}, 0xcc, 16)\nresult = 'written'")
    assert (outcome["status"], outcome["signal"]) == ("crash", 11), outcome
    # The next execution has it whole.
    assert result(box, "result = libc.strlen(b'four')") == 4


def test_data_is_not_executed(box):
    outcome = box.execute(PRELUDE + """
start = next(a[0] for a in areas() if window(a[0]) and a[2] == 'rw-p')
ctypes.memset(start, 0xc3, 1)
ctypes.CFUNCTYPE(None)(start)()
result = 'executed'
""")
    assert (outcome["status"], outcome["signal"]) == ("crash", 11), outcome


def test_protections_are_what_pages_can_do(box):
    assert result(box, """
import _sqlite3
text = address(libc.memcpy)
data = next(a[0] for a in areas() if window(a[0]) and a[2] == 'rw-p')
result = [protect(text, 7), protect(text, 3), protect(text, 5), protect(text, 1), protect(text, 5),
          protect(data, 7), protect(data, 1), protect(data, 3), libc.strlen(b'fine')]
""") == ["EACCES", "EACCES", "ok", "ok", "ok", "EACCES", "ok", "ok", 4]


def test_data_of_libraries_is_new_in_every_execution(box):
    code = """
import _sqlite3
mapped = [a for a in areas() if window(a[0]) and a[2] == 'rw-p']
spare = [a[1] - 8 for a in mapped]
result = [[ctypes.c_uint64.from_address(at).value for at in spare], len(spare)]
for at in spare:
    ctypes.c_uint64.from_address(at).value = 0x5eed5eed5eed5eed
libc.srand(7)
"""
    first = result(box, code)
    assert first[1] > 3
    assert 0x5eed5eed5eed5eed not in first[0]
    assert [result(box, code) for _ in range(3)] == [first] * 3


def test_a_library_s_buffer_takes_what_calls_write(box):
    assert result(box, """
import _sqlite3
at = next(a[1] - 64 for a in areas() if window(a[0]) and a[2] == 'rw-p')
ends = os.pipe()
os.write(ends[1], b'into the library')
got = libc.read(ends[0], ctypes.c_void_p(at), 64)
back = libc.write(ends[1], ctypes.c_void_p(at), got)
refused = libc.read(ends[0], ctypes.c_void_p(address(libc.memcpy)), 8)
result = [got, back, refused, errno.errorcode[ctypes.get_errno()], os.read(ends[0], 64).decode()]
""") == [16, 16, -1, "EFAULT", "into the library"]


def test_a_mapped_file_is_the_file(box):
    assert result(box, """
path = next(os.path.join(d, n) for d in ('/usr/lib/x86_64-linux-gnu', '/lib/x86_64-linux-gnu')
            if os.path.isdir(d) for n in sorted(os.listdir(d)) if n.startswith('libc.so'))
wanted = open(path, 'rb').read()
with open(path, 'rb') as file:
    plain = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    copied = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | 0x800, prot=mmap.PROT_READ)
    private = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    private[:4] = b'mine'
result = [plain[:] == wanted, copied[:] == wanted, private[:4] == b'mine', private[4:] == wanted[4:],
          open(path, 'rb').read(4) == wanted[:4]]
""") == [True] * 5


def test_a_library_can_go_and_come_back(box):
    assert result(box, """
import _ctypes
name = 'libsqlite3.so.0'
def load():
    library = ctypes.CDLL(name)
    at = address(library.sqlite3_libversion)
    library.sqlite3_libversion.restype = ctypes.c_char_p
    return library._handle, at, library.sqlite3_libversion() != b'', library.sqlite3_initialize()
first = load()
_ctypes.dlclose(first[0])
gone = not any(a[0] <= first[1] < a[1] for a in areas())
second = load()
result = [window(first[1]), gone, first[1] == second[1], first[2:] == second[2:] == (True, 0)]
""") == [True, True, True, True]


@pytest.mark.parametrize("modules", ["sqlite3, ssl, ctypes, decimal, lzma, bz2, zlib, uuid", "numpy",
                                     "numpy, pandas", "matplotlib.figure"])
def test_modules_that_are_libraries_work(box, modules):
    for name in modules.split(", "):
        pytest.importorskip(name.split(".")[0])
    work = {"numpy": "result = float((numpy.ones((50, 50)) @ numpy.ones((50, 50))).sum())",
            "numpy, pandas": "result = int(pandas.DataFrame({'a': [1, 2]}).a.sum())",
            "matplotlib.figure": "import io\nf = io.BytesIO()\nfigure = matplotlib.figure.Figure()\n"
                                 "figure.subplots().plot([1, 2])\nfigure.savefig(f, format='png')\n"
                                 "result = f.getvalue()[1:4].decode()"}
    code = f"import {modules}\n" + work.get(modules, """
db = sqlite3.connect(':memory:')
result = [db.execute('select 6 * 7').fetchone()[0], len(ssl.create_default_context().get_ciphers()) > 5,
          str(decimal.Decimal(1) / 7)[:6], lzma.decompress(lzma.compress(b'x')) == b'x',
          bz2.decompress(bz2.compress(b'y')) == b'y', zlib.decompress(zlib.compress(b'z')) == b'z']""")
    wanted = {"numpy": 125000.0, "numpy, pandas": 3, "matplotlib.figure": "PNG"}
    assert result(box, code) == wanted.get(modules, [42, True, "0.1428", True, True, True])
