"""The file system: nothing of the host is read, changed, made or watched."""
import os

import pytest
from prelude import attack

READ = {
    "open": """
for path in W["files"]:
    print(attempt(lambda: open(path).read()))
""",
    "listing": """
for place in (W["dir"], W["dir"] + "/home", "/tmp", "/root", "/home", "/dev/shm", "/var"):
    for name in attempt(os.listdir, place) if worked(attempt(os.listdir, place)) else []:
        if W["token"] in name:
            breach(place, name)
""",
    "dotdot": """
for depth in range(1, 24):
    for path in W["files"]:
        print(attempt(lambda: open("../" * depth + path.lstrip("/")).read()))
""",
    "symlink": """
for number, path in enumerate(W["files"]):
    attempt(os.symlink, path, f"link{number}")
    print(attempt(lambda: open(f"link{number}").read()))
attempt(os.symlink, "/", "root")
for path in W["files"]:
    print(attempt(lambda: open("root" + path).read()))
""",
    "hardlink": """
for number, path in enumerate(W["files"]):
    attempt(os.link, path, f"hard{number}")
    print(attempt(lambda: open(f"hard{number}").read()))
""",
    "proc": """
for pid in ("self", "1", str(W["victim"]), str(W["self"]), "thread-self"):
    for name in ("environ", "mem", "maps", "cmdline", "root/etc/shadow", "fd/0", "cwd/canary.txt"):
        value = attempt(lambda: open(f"/proc/{pid}/{name}", "rb").read(4096))
        print(repr(value))
    for path in W["files"]:
        print(attempt(lambda: open(f"/proc/{pid}/root{path}").read()))
    for fd in range(256):
        attempt(lambda: print(open(f"/proc/{pid}/fd/{fd}", "rb").read(64)))
""",
    "openat_from_each_descriptor": """
for fd in range(1024):
    for path in W["files"]:
        for name in (path, "../" * 12 + path.lstrip("/"), path.lstrip("/")):
            got = attempt(lambda: os.open(name, os.O_RDONLY, dir_fd=fd))
            if worked(got):
                print(os.read(got, 100))
    attempt(os.fchdir, fd)
""",
    "handle": """
handle = ctypes.create_string_buffer(136)
handle[0] = 128
mount = ctypes.c_int()
for path in W["files"] + ["/", "/usr", "."]:
    result, error = call(303, -100, path.encode(), handle, ctypes.byref(mount), 0)
    for anchor in (-100, 0, 1, 2, attempt(os.open, "/", os.O_RDONLY), attempt(os.open, ".", 0)):
        if isinstance(anchor, int):
            fd, error = call(304, anchor, handle, 0)
            if fd >= 0:
                breach("opened by handle", path)
                print(os.read(fd, 100))
""",
    "chroot": """
os.mkdir("deep")
root = attempt(os.open, "/", os.O_RDONLY)
if worked(attempt(os.chroot, "deep")):
    breach("chroot")
    for _ in range(30):
        attempt(os.chdir, "..")
    attempt(os.chroot, ".")
for path in W["files"]:
    print(attempt(lambda: open(path).read()))
""",
    "sqlite": """
import sqlite3
for path in W["files"]:
    print(attempt(lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute(
        "select * from sqlite_master").fetchall()))
    db = sqlite3.connect(":memory:")
    print(attempt(lambda: db.execute(f"attach database '{path}' as victim")))
    attempt(lambda: db.execute(f"vacuum into '{path}-copy'"))
""",
    "dlopen": """
for path in W["files"]:
    print(attempt(ctypes.CDLL, path))
""",
    "sendfile_and_copy": """
for path in W["files"]:
    fd = attempt(os.open, path, os.O_RDONLY | os.O_NOFOLLOW)
    if worked(fd):
        attempt(os.sendfile, 1, fd, 0, 1000)
        out = os.open("copy", os.O_CREAT | os.O_RDWR)
        attempt(os.copy_file_range, fd, out, 1000)
        print(open("copy").read())
""",
    "path_descriptors": """
for path in W["files"]:
    fd = attempt(lambda: os.open(path, os.O_PATH))
    if worked(fd):
        print(attempt(lambda: open(f"/proc/self/fd/{fd}").read()))
        print(attempt(lambda: os.read(fd, 100)))
        print(call(437, fd, b"", (ctypes.c_uint64 * 3)(0, 0, 0), 24))
""",
    "logs_and_keys": """
for path in ("/etc/shadow", "/etc/ssh/ssh_host_rsa_key", "/root/.ssh/id_rsa", "/root/.bash_history",
             "/var/log/syslog", "/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/dev/vda",
             "/dev/sda", "/dev/kmsg", "/sys/kernel/debug", "/proc/sys/kernel/core_pattern"):
    value = attempt(lambda: open(path, "rb").read(64))
    if isinstance(value, bytes) and value:
        breach(path)
""",
}

WRITE = {
    "open": """
for path in W["files"]:
    for mode in ("w", "a", "r+", "x"):
        attempt(lambda: open(path, mode).write("owned"))
""",
    "create": """
for place in (W["dir"], W["dir"] + "/home", W["dir"] + "/cwd", "/tmp", "/dev/shm", "/var/tmp", "/",
              "/root", "/run", "/etc", "/usr/lib"):
    attempt(lambda: open(f"{place}/{W['token']}-made", "w").write("x"))
    attempt(os.mkdir, f"{place}/{W['token']}-dir")
    attempt(os.symlink, "/etc/passwd", f"{place}/{W['token']}-link")
    attempt(os.mkfifo, f"{place}/{W['token']}-fifo")
    attempt(os.mknod, f"{place}/{W['token']}-node")
""",
    "delete_and_rename": """
import shutil
for path in W["files"]:
    attempt(os.rename, path, path + "-moved")
    attempt(os.replace, path, "mine")
    attempt(os.unlink, path)
attempt(shutil.rmtree, W["dir"])
""",
    "attributes": """
for path in W["files"]:
    attempt(os.chmod, path, 0o777)
    attempt(os.chown, path, 0, 0)
    attempt(os.utime, path, (1, 1))
    attempt(os.truncate, path, 0)
    attempt(os.setxattr, path, "user.owned", b"1")
    attempt(os.link, path, path + "-link")
""",
    "through_symlinks": """
for number, path in enumerate(W["files"]):
    attempt(os.symlink, path, f"out{number}")
    attempt(lambda: open(f"out{number}", "w").write("owned"))
    attempt(os.symlink, os.path.dirname(path), f"dir{number}")
    attempt(lambda: open(f"dir{number}/{W['token']}-new", "w").write("x"))
""",
    "mmap_shared": """
import mmap
for path in W["files"]:
    fd = attempt(os.open, path, os.O_RDWR)
    if worked(fd):
        mmap.mmap(fd, 0)[0:5] = b"owned"
""",
    "interpreter": """
import sysconfig
for place in {*sys.path, sysconfig.get_path("stdlib"), "/usr/lib/python3/dist-packages", "/psb",
              os.path.dirname(os.__file__), sys.prefix, os.path.dirname(sys.executable or "/")}:
    for name in ("sitecustomize.py", W["token"] + ".pth", "os.py", "__pycache__/os.pyc"):
        if place and worked(attempt(lambda: open(os.path.join(place, name), "a"))):
            if not os.path.abspath(place).startswith(os.getcwd()):
                breach("writable", place, name)
""",
    "runner_files": """
for name, module in list(sys.modules.items()):
    path = getattr(module, "__file__", None) or ""
    if name == "__main__":
        continue  # its own copy, in its own workspace
    if path and worked(attempt(lambda: open(path, "r+b"))):
        breach("writable module", path)
    if path and worked(attempt(os.unlink, path)):
        breach("removed module", path)
""",
    "bytecode": """
sys.dont_write_bytecode = False
import importlib, py_compile
for name in ("this", "antigravity", "colorsys", "chunk"):
    attempt(importlib.import_module, name)
    attempt(lambda: py_compile.compile(sys.modules[name].__file__, doraise=True))
    attempt(lambda: py_compile.compile(sys.modules[name].__file__, "/tmp/" + W["token"] + ".pyc"))
""",
    "devices": """
import stat
for number, name in ((os.makedev(1, 1), "mem"), (os.makedev(254, 0), "vda"), (os.makedev(8, 0), "sda"),
                     (os.makedev(10, 232), "kvm"), (os.makedev(5, 0), "tty"), (os.makedev(1, 11), "k")):
    for kind in (stat.S_IFCHR, stat.S_IFBLK):
        if worked(attempt(os.mknod, name, kind | 0o666, number)):
            if worked(attempt(os.open, name, os.O_RDWR)):
                breach("device", name)
            attempt(os.unlink, name)
for name in attempt(os.listdir, "/dev") if worked(attempt(os.listdir, "/dev")) else ():
    if name not in ("null", "zero", "full", "urandom", "random", "shm", "fd", "stdin", "stdout",
                    "stderr", "mqueue", "pts", "tty", "ptmx"):
        if worked(attempt(lambda: open("/dev/" + name, "r+b", buffering=0))):
            breach("device opens", name)
""",
    "root_filesystem": """
for place in ("/", "/usr", "/etc", "/dev", "/proc", "/sys", "/lib", "/psb", "/run", "/home", "/var"):
    path = place.rstrip("/") + "/" + W["token"]
    if worked(attempt(lambda: open(path, "w"))) or worked(attempt(os.mkdir, path)):
        breach("made", path)
""",
}

WATCH = """
watch = call(294, 0)[0]
for path in [W["dir"], *W["files"]]:
    if watch >= 0 and call(254, watch, path.encode(), 0xfff)[0] >= 0:
        breach("inotify", path)
for flags in (0, 4, 8, 0x200):
    if call(300, flags, 0)[0] >= 0:
        breach("fanotify")
"""

STAT = """
for path in [W["dir"], *W["files"], "/root", "/home", "/boot", "/var/log", "/sys/kernel"]:
    if path not in os.getcwd() and worked(attempt(os.stat, path)):
        breach("stat", path)
"""


@pytest.mark.parametrize("name", READ)
def test_read(walled, name):
    walled.attack(attack(READ[name]))


@pytest.mark.parametrize("name", WRITE)
def test_write(walled, name):
    walled.attack(attack(WRITE[name]))


def test_watch(walled):
    if walled.config.rung == "C":
        pytest.skip("rung C has no root of its own; Landlock does not govern inotify")
    walled.attack(attack(WATCH))


def test_stat(walled):
    if walled.config.rung == "C":
        pytest.skip("rung C lets stat() see that host paths exist (docs/security.md)")
    walled.attack(attack(STAT))


def test_the_root_of_rung_d_is_refused_by_default(cage):
    if cage.config.rung != "D":
        pytest.skip("about rung D")
    import psbtest
    argv = [psbtest.command(), "run", "--engine", "native", "--json", "--rung", "D", "-c", "result=1"]
    process = psbtest.spawn(argv, cage.config, env=psbtest.environment(None, cage.config))
    raw, _ = process.communicate(timeout=20)
    outcome = psbtest.parse_outcome(raw)
    assert (outcome["status"], process.returncode) == ("unavailable", 125)
    assert "result" not in outcome and os.path.exists(cage.world.dir)
