"""Collection of the workspace: what the guest leaves there is data, and lands beneath DIR only."""
import os
import shutil
import stat

import pytest
from prelude import attack

# An honest file is always there: whatever else is in the workspace, it arrives or the status says
# why not. Each attack may add what it likes; the check is on what the host finds in DIR.
TRAPS = {
    "symlink_out": """
for number, path in enumerate(W["files"]):
    os.symlink(path, f"link{number}")
os.symlink("/etc/passwd", "passwd")
os.symlink("/", "root")
os.symlink(W["dir"], "dir")
""",
    "symlink_to_itself": "os.symlink('loop', 'loop')\nos.symlink('.', 'here')\nos.symlink('..', 'up')",
    "hardlinks": """
for number, path in enumerate(W["files"]):
    attempt(os.link, path, f"hard{number}")
attempt(os.link, "honest.txt", "again.txt")
""",
    "fifo": "os.mkfifo('pipe')\nos.makedirs('d')\nos.mkfifo('d/pipe')",
    "socket": """
import socket
sock = attempt(lambda: socket.socket(socket.AF_UNIX))
if worked(sock):
    attempt(sock.bind, "sock")
""",
    "devices": """
import stat
for kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK):
    attempt(os.mknod, f"node{kind}", kind | 0o666, os.makedev(1, 3))
""",
    "huge_sparse": """
with open("sparse", "wb") as file:
    attempt(file.truncate, 1 << 45)
    attempt(file.truncate, 1 << 32)
    attempt(file.truncate, 1 << 26)
""",
    "sparse_with_a_tail": """
with open("tail", "wb") as file:
    attempt(file.seek, (1 << 40))
    attempt(file.write, b"x")
    attempt(file.flush)
""",
    "deep": """
for _ in range(400):
    if not worked(attempt(os.mkdir, "d")) or not worked(attempt(os.chdir, "d")):
        break
attempt(lambda: open("bottom", "w").write("x"))
""",
    "many": """
for number in range(3000):
    if not worked(attempt(lambda: open(f"f{number}", "w").close())):
        break
""",
    "names": r"""
for name in (b"\xff\xfe", b"new\nline", b"\x1b[2J", b"-rf", b"..hidden", b"a" * 255, b" ", b"\\..\\x",
             b"con", b"x:y", "\u202egnp.exe".encode(), b"%2e%2e", b"'\"`$(id)", b".bashrc", b"\x7f"):
    attempt(lambda: open(name, "wb").write(b"x"))
""",
    "modes": """
open("setuid", "w").write("x")
os.chmod("setuid", 0o6777)
open("unreadable", "w").write("x")
os.chmod("unreadable", 0)
os.mkdir("closed")
os.chmod("closed", 0)
attempt(os.setxattr, "setuid", "user.x", b"1")
""",
    "workspace_replaced": """
here = os.getcwd()
os.chdir("/")
attempt(os.rename, here, here + "-moved")
attempt(os.rmdir, here)
attempt(os.symlink, W["dir"], here)
""",
    "changing_while_collected": """
import time
if os.fork() == 0:
    while True:
        for target in W["files"]:
            attempt(os.unlink, "swap")
            attempt(os.symlink, target, "swap")
            attempt(os.unlink, "swap")
            attempt(lambda: open("swap", "w").write("x"))
time.sleep(0.05)
""",
}


def all_in(directory):
    for base, names, files in os.walk(directory):
        for name in names + files:
            yield os.path.join(base, name)


@pytest.fixture
def out(cage):
    """An output directory of the command's user, next to a canary that must not be overwritten."""
    path = cage.world.dir / "out"
    path.mkdir()
    cage.world.own(path, 0o755)
    cage.world.entries.add(str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)
    cage.world.entries.discard(str(path))


def collect(cage, out, code):
    """Runs with --output and judges all that arrived before the world is looked at."""
    run = cage.world.run(code, timeout=1.0, args=["--output", str(out)])
    found = {}
    for path in all_in(out):
        seen = os.lstat(path)
        assert stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode), f"{path} is special\n{run}"
        assert not seen.st_mode & 0o7000, f"{path} has mode {oct(seen.st_mode)}"
        assert seen.st_uid == cage.config.uid, f"{path} belongs to {seen.st_uid}"
        assert seen.st_size <= 1 << 26 and seen.st_blocks * 512 <= 1 << 27, f"{path} is too large"
        if stat.S_ISREG(seen.st_mode):
            assert seen.st_nlink == 1, f"{path} is a hard link"
            with open(path, "rb") as file:
                data = file.read()
            assert cage.world.secret.encode() not in data, f"{path} holds the secret"
            found[os.path.relpath(path, out)] = data
    for path in list(all_in(out)):
        if not os.path.isdir(path):
            os.unlink(path)
    for name in os.listdir(out):
        shutil.rmtree(out / name)
    cage.verdict(run)
    return run, found


@pytest.mark.parametrize("name", TRAPS)
def test_traps(walled, out, name):
    if walled.config.imports == "on":
        pytest.skip("ctypes of the prelude is refused; the kernel rows cover it")
    head = "open('honest.txt', 'w').write('honest')\n"
    run, found = collect(walled, out, head + attack(TRAPS[name]))
    if name == "workspace_replaced":
        assert set(found) <= {"honest.txt"}
    elif run.status == "ok":
        assert found.get("honest.txt") == b"honest", f"{sorted(found)}\n{run}"
    assert len(found) <= 1024 + 1


def test_honest_files(walled, out):
    code = "import os\nos.makedirs('a/b')\nopen('a/b/c.bin', 'wb').write(bytes(range(256)))\n"
    run, found = collect(walled, out, code)
    assert run.status == "ok" and found == {"a/b/c.bin": bytes(range(256))}
    assert [(item["name"], item["size"]) for item in run.files] == [("a/b/c.bin", 256)]


def test_existing_files_outside_of_the_guests_are_kept(walled, out):
    """A symlink that the host's user has in DIR is never followed by the collection."""
    target = walled.world.dir / "etc" / "writable.txt"
    (out / "trap").symlink_to(target)
    (out / "sub").symlink_to(target.parent)
    code = ("import os\nopen('trap', 'w').write('owned')\nos.mkdir('sub')\n"
            "open('sub/writable.txt', 'w').write('owned')\n")
    import psbtest
    argv = psbtest.arguments(code, walled.config, args=["--output", str(out)])
    process = psbtest.spawn(argv, walled.config, env=psbtest.environment(None, walled.config))
    raw, stderr = process.communicate(timeout=20)
    shutil.rmtree(out)
    out.mkdir()
    run = psbtest.Run(process.returncode, raw, stderr.decode(), 0.0, psbtest.parse_outcome(raw))
    assert run.status == "ok" and run.exit_code == 0, str(run)
    assert ["sub" in item["name"] and "error" in item for item in run.files] == [True, False], str(run)
    walled.world.check(run)
    walled.traces.check()


@pytest.mark.parametrize("mode", ("json", "plain"))
def test_what_is_in_the_way_costs_no_outcome(walled, out, mode):
    """The code has run: a name that is taken keeps its file out and is told, nothing more."""
    (out / "taken").write_text("a file of the host's")
    (out / "folder").mkdir()
    code = ("import os\nos.mkdir('taken')\nopen('taken/in.txt', 'w').write('x')\n"
            "open('folder', 'w').write('x')\nopen('free', 'w').write('kept')\n")
    import psbtest
    argv = psbtest.arguments(code, walled.config, args=["--output", str(out)])
    if mode == "plain":
        argv.remove("--json")
    process = psbtest.spawn(argv, walled.config, env=psbtest.environment(None, walled.config))
    raw, stderr = process.communicate(timeout=20)
    kept, free = (out / "taken").read_text(), (out / "free").read_text()
    shutil.rmtree(out)
    out.mkdir()
    assert process.returncode == 0 and (kept, free) == ("a file of the host's", "kept"), (raw, stderr)
    if mode == "json":
        files = {item["name"]: item.get("error") for item in psbtest.parse_outcome(raw)["files"]}
        assert files["free"] is None and files["taken"] and files["folder"], files
        assert len(files) == 3 and not stderr
    else:
        assert b'"taken" was not stored' in stderr and b'"folder" was not stored' in stderr, stderr
    walled.traces.check()


def test_a_directory_that_cannot_be_written_is_an_error_of_the_call(walled, out):
    if walled.config.uid == 0:
        pytest.skip("root may write everywhere")
    import psbtest
    argv = psbtest.arguments("open('x', 'w').write('ran')", walled.config, args=["--output", "/usr"])
    process = psbtest.spawn(argv, walled.config, env=psbtest.environment(None, walled.config))
    raw, stderr = process.communicate(timeout=20)
    assert process.returncode == 2 and not raw and b"/usr" in stderr, (process.returncode, raw, stderr)
    walled.traces.check()


FILE_TRAPS = ("symlink", "fifo", "directory", "device", "missing", "dotdot", "absolute", "empty")


@pytest.mark.parametrize("kind", FILE_TRAPS)
def test_input_files_are_regular_and_beneath(walled, out, kind):
    """--file: anything but a plain file with a plain relative name is an error of the call."""
    source = out / "source"
    name = {"dotdot": "../x", "absolute": "/x", "empty": ""}.get(kind, "x")
    if kind == "symlink":
        source.symlink_to(walled.world.dir / "etc" / "canary.txt")
    elif kind == "fifo":
        os.mkfifo(source)
    elif kind == "directory":
        source.mkdir()
    elif kind == "device":
        source = "/dev/zero"
    elif kind != "missing":
        source.write_text("plain")
    import psbtest
    argv = psbtest.arguments("result = open('x').read()", walled.config,
                             args=["--file", f"{name}={source}"])
    process = psbtest.spawn(argv, walled.config, env=psbtest.environment(None, walled.config))
    raw, stderr = process.communicate(timeout=20)
    shutil.rmtree(out)
    out.mkdir()
    assert process.returncode == 2 and stderr, (process.returncode, raw, stderr)
    assert walled.world.secret.encode() not in raw
    walled.traces.check()
