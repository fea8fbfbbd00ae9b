"""Files: bytes and counts are capped, and nothing of them outlives the run."""
import psbtest
import pytest

DISK = {"error", "disk_limit", "memory_limit"}
FILL = {
    "one_file": "with open('x', 'wb') as f:\n    while True:\n        f.write(b'x' * (1 << 20))",
    "many_files": """
n = 0
while True:
    with open(f'f{n}', 'wb') as f:
        f.write(b'x' * (1 << 20))
    n += 1
""",
    "truncate_then_fill": """
f = open('x', 'r+b') if False else open('x', 'w+b')
f.truncate(1 << 30)
while True:
    f.write(b'x' * (1 << 20))
""",
    "fallocate": "import os\nfd = os.open('x', os.O_CREAT | os.O_RDWR)\nos.posix_fallocate(fd, 0, 1 << 30)",
    "mapped": """
import mmap, os
fd = os.open('x', os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, 1 << 30)
m = mmap.mmap(fd, 1 << 30)
for n in range(0, 1 << 30, 4096):
    m[n] = 1
""",
    "temporary": """
import tempfile
keep = []
while True:
    keep.append(tempfile.TemporaryFile())
    keep[-1].write(b'x' * (4 << 20))
    keep[-1].flush()
""",
}
COUNT = {
    "files": "n = 0\nwhile True:\n    open(f'f{n}', 'w').close()\n    n += 1",
    "directories": "import os\nn = 0\nwhile True:\n    os.mkdir(f'd{n}')\n    n += 1",
    "links": "import os\nopen('a', 'w').close()\nn = 0\nwhile True:\n    os.symlink('a', f's{n}')\n    n += 1",
    "deep": "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')",
    "fifos": "import os\nn = 0\nwhile True:\n    os.mkfifo(f'p{n}')\n    n += 1",
}


@pytest.mark.parametrize("name", FILL)
def test_fill(exhaust, name):
    statuses = DISK | ({"crash"} if name == "mapped" else set())
    if exhaust.config.rung in ("C", "D") and name == "temporary":
        # Files that have no name there count nowhere (docs/security.md).
        statuses |= {"timeout", "cpu_limit"}
    run = exhaust.run(FILL[name], statuses, timeout=2.0, args=["--workspace", "16M"])
    if run.status == "error":
        assert run.error["type"] in ("OSError", "MemoryError", "PermissionError"), str(run)
        assert run.outcome["limits_hit"] or run.error["type"] == "PermissionError", str(run)


@pytest.mark.parametrize("name", COUNT)
def test_count(exhaust, name):
    run = exhaust.run(COUNT[name], DISK, timeout=8.0)
    if exhaust.config.rung in ("C", "D") and psbtest.ENGINE == "native":
        assert run.status == "disk_limit" and run.limit == "workspace" and run.exit_code == 66, str(run)


def test_what_is_there_at_the_end_counts(exhaust):
    """Without a quota a program may end before anybody has counted; it is then no success."""
    code = "for n in range(1100):\n    open(f'f{n}', 'w').close()\n"
    run = exhaust.run(code, {"error", "disk_limit"}, timeout=8.0)
    assert "workspace" in (run.limit, *run.outcome["limits_hit"]), str(run)


def test_links_count_their_file_once(exhaust):
    code = ("import os\nopen('a', 'wb').write(b'x' * (9 << 20))\n"
            "for n in range(50):\n    os.link('a', f'l{n}')\n")
    exhaust.run(code, {"ok"}, timeout=4.0, args=["--workspace", "16M"])


def test_sparse_files_cost_nothing(exhaust):
    code = "f = open('x', 'wb')\nf.truncate(1 << 20)\nresult = f.seek(0, 2)"
    assert exhaust.run(code, {"ok"}, timeout=2.0).result == 1 << 20


def test_room_is_as_promised(exhaust):
    code = """
import os
with open('x', 'wb') as f:
    for _ in range(12):
        f.write(b'x' * (1 << 20))
for n in range(500):
    open(f'f{n}', 'w').close()
result = os.path.getsize('x')
"""
    run = exhaust.run(code, {"ok"}, timeout=3.0, args=["--workspace", "16M"])
    assert run.result == 12 << 20
