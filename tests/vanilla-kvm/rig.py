"""The microVM engine on ordinary KVM, and both engines with control groups v2: boots a Debian cloud
kernel under QEMU's software emulation of an AMD processor with nested virtualisation, and runs the
engine's tests and programs there.

rig.py BUILD: everything comes from the build folder; the kernel is the package
linux-image-cloud-amd64 of this Debian, downloaded with apt into BUILD/vanilla-kvm.
"""

import argparse
import glob
import gzip
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

MEMORY_MB = 3072
SECONDS = 900
SLOW_TIMEOUT = "60"  # software emulation is some thirty times slower
PYTHON = "/usr/bin/python3.11"
SKIPPED_FOLDERS = {"test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip"}

# name, program, what the outcome must hold
PROGRAMS = (
    ("result", "result = sum(range(10))", {"status": "ok", "result": 45, "rung": "A"}),
    ("print", "print('hello')", {"status": "ok", "stdout": "hello\n"}),
    ("exception", "1 / 0", {"status": "error"}),
    ("exit", "import sys; sys.exit(7)", {"status": "exit", "exit_code": 7}),
    ("threads", "import threading\nn = []\nt = [threading.Thread(target=n.append, args=(i,)) "
     "for i in range(4)]\n[x.start() for x in t]\n[x.join() for x in t]\nresult = sorted(n)",
     {"status": "ok", "result": [0, 1, 2, 3]}),
    ("spinning thread", "import threading, time\ndone = []\ndef spin():\n    while not done: pass\n"
     "t = threading.Thread(target=spin)\nt.start()\ntime.sleep(0.05)\ndone.append(1)\nt.join()\n"
     "result = 1", {"status": "ok", "result": 1}),
    ("floats", "import math\nresult = [math.sqrt(2), 0.1 + 0.2]",
     {"status": "ok", "result": [2 ** 0.5, 0.1 + 0.2]}),
    ("sleep", "import time\ntime.sleep(0.2)\nresult = 1", {"status": "ok", "result": 1}),
    ("clock", "import time\na = time.time()\nresult = 1_600_000_000 < a",
     {"status": "ok", "result": True}),
    ("files", "open('a', 'w').write('x')\nresult = open('a').read()",
     {"status": "ok", "result": "x"}),
    ("fork", "import os\ntry:\n    os.fork()\nexcept OSError as e:\n    result = type(e).__name__",
     {"status": "ok"}),
    ("memory", "x = bytearray(1 << 32)", {"status": "error"}),
    ("null pointer", "import ctypes\nctypes.string_at(8)", {"status": "crash"}),
)
# With control groups v2, which this kernel has: walls that only a group can hold.
FAMILY = """import os, time
for _ in range(6):
    if os.fork() == 0:
        x = bytearray(90 << 20)
        time.sleep(60)
time.sleep(60)
result = 1"""
CROWD = """import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError as e:
    result = [type(e).__name__, made < 1000]"""
GROUPED = (
    ("native result", "result = sum(range(10))", {"status": "ok", "result": 45, "rung": "A"}),
    ("native exit", "import sys; sys.exit(7)", {"status": "exit", "exit_code": 7}),
    ("native family", FAMILY, {"limit": "memory", "rung": "A"}),
    ("native crowd", CROWD, {"status": "ok", "result": ["BlockingIOError", True],
                             "limits_hit": ["processes"]}),
    ("native loop", "while True: pass", {"limit": "cpu"}),
)
LEFT = ("import os, time\ntime.sleep(3)\n"
        "left = [n for n in os.listdir('/sys/fs/cgroup') if n.startswith('psb-')]\n"
        "assert not left, left")
LIMITED = (("endless loop", "while True: pass", {"limit": "cpu"}),)


class Initrd:
    """A cpio archive (newc) of files of this host under their own or other names."""

    def __init__(self, path):
        self.out = gzip.open(path, "wb", compresslevel=1)
        self.seen = set()

    def entry(self, name, data, mode, device=(0, 0)):
        raw = name.encode() + b"\0"
        numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + raw
        self.out.write(head + b"\0" * (-len(head) % 4))
        self.out.write(data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        parts = name.strip("/").split("/")
        for i in range(1, len(parts) + 1):
            folder = "/".join(parts[:i])
            if folder and folder not in self.seen:
                self.seen.add(folder)
                self.entry(folder, b"", stat.S_IFDIR | 0o755)

    def text(self, name, text):
        self.entry(name.strip("/"), text.encode(), stat.S_IFREG | 0o644)

    def link(self, name, target):
        self.entry(name.strip("/"), target.encode(), stat.S_IFLNK | 0o777)

    def add(self, source, name=None):
        name = (name or str(source)).strip("/")
        if name.startswith(("lib/", "lib64/")):
            name = "usr/" + name
        if name in self.seen:
            return
        self.folder(os.path.dirname(name))
        self.seen.add(name)
        self.entry(name, pathlib.Path(source).read_bytes(), stat.S_IFREG | 0o755)

    def close(self):
        self.entry("TRAILER!!!", b"", 0)
        self.out.close()


def libraries_of(program):
    found = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+\.so\S*) \(0x", found)


def add_python(initrd):
    library = pathlib.Path("/usr/lib/python3.11")
    for root, folders, files in os.walk(library):
        folders[:] = [name for name in folders
                      if name not in SKIPPED_FOLDERS and not name.startswith("config-")]
        for name in files:
            path = pathlib.Path(root, name)
            if path.is_file():
                initrd.add(path)
                if ".so" in name:
                    add_libraries(initrd, path)
    initrd.add(PYTHON)
    initrd.link("/usr/bin/python3", "python3.11")
    add_libraries(initrd, PYTHON)
    for name in ("libgcc_s.so.1", "libdl.so.2", "librt.so.1", "libpthread.so.0"):
        initrd.add(f"/usr/lib/x86_64-linux-gnu/{name}", f"/lib/x86_64-linux-gnu/{name}")


def add_libraries(initrd, program):
    for path in libraries_of(str(program)):
        initrd.add(os.path.realpath(path), path)


def fetch_kernel(folder):
    """The unpacked kernel package: (vmlinuz, folder of its modules)."""
    root = folder / "kernel"
    if not root.exists():
        name = re.search(r"Depends: (linux-image-\S+cloud-amd64)", subprocess.run(
            ["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True,
            text=True).stdout).group(1)
        subprocess.run(["apt-get", "download", name], cwd=folder, check=True, capture_output=True)
        package = next(folder.glob("linux-image-*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, root.with_suffix(".new")], check=True)
        root.with_suffix(".new").rename(root)
        package.unlink()
    return next((root / "boot").glob("vmlinuz-*")), next((root / "lib/modules").iterdir()) / "kernel"


def add_modules(initrd, modules):
    for path in ("virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-amd"):
        initrd.add(modules / f"{path}.ko", f"/modules/{path.rsplit('/', 1)[1]}.ko")


def commands():
    """[(name, words, expected outcome or None: exit code 0)]"""
    run = ["/pysandbox", "run", "--engine", "microvm", "--json", "--policy", "/policy.json"]
    yield "machine", ["/test_machine"], None
    yield "discard", ["/test_discard"], None
    yield "image", ["/pysandbox", "image", "build"], None
    for name, program, expected in PROGRAMS:
        yield name, [*run, "--timeout", SLOW_TIMEOUT, f"/programs/{name}.py"], expected
    for name, program, expected in LIMITED:
        yield name, [*run, "--cpu", "2", f"/programs/{name}.py"], expected
    for name, program, expected in GROUPED:
        limit = ["--cpu", "2"] if expected.get("limit") == "cpu" else ["--timeout", SLOW_TIMEOUT]
        yield name, ["/pysandbox", "run", "--engine", "native", "--json", "--memory", "256M", *limit,
                     f"/programs/{name}.py"], expected
    yield "no groups are left", ["/usr/bin/python3", "/programs/left.py"], None
    yield "many executions", ["/pysandbox", "bench", "--engine", "microvm", "-n", "100", "--phase",
                              "latency", "-c", "print(sum(range(10)))"], None


def make_initrd(build, folder, modules):
    path = folder / "initrd.gz"
    initrd = Initrd(path)
    for name in ("dev", "proc", "sys", "tmp", "mnt", "modules", "programs", "var"):
        initrd.folder(name)
    initrd.folder("usr/lib")
    initrd.folder("usr/lib64")
    initrd.link("lib", "usr/lib")
    initrd.link("lib64", "usr/lib64")
    initrd.entry("dev/console", b"", stat.S_IFCHR | 0o600, (5, 1))
    initrd.add(build / "tests/vanilla-kvm/rig-init", "/init")
    initrd.add(build / "tests/microvm/test_machine", "/test_machine")
    initrd.add(build / "tests/microvm/test_discard", "/test_discard")
    initrd.add(build / "tests/microvm/mini-kernel", "/mini-kernel")
    initrd.add(build / "pysandbox", "/pysandbox")
    add_libraries(initrd, build / "tests/microvm/test_machine")
    for name in ("pysandbox-vmm", "pysandbox-guest-kernel", "pysandbox-keeper"):
        initrd.add(build / "libexec" / name, f"/libexec/{name}")
    for source in glob.glob(str(build / "libexec/psb/**"), recursive=True):
        if os.path.isfile(source):
            initrd.add(source, "/libexec/psb/" + os.path.relpath(source, build / "libexec/psb"))
    add_python(initrd)
    add_modules(initrd, modules)
    for name, program, _ in PROGRAMS + LIMITED + GROUPED:
        initrd.text(f"/programs/{name}.py", program + "\n")
    initrd.text("/programs/left.py", LEFT + "\n")
    initrd.text("/policy.json", '{"imports": {"mode": "off"}}')
    initrd.text("/commands", "".join("\t".join(words) + "\n" for _, words, _ in commands()))
    initrd.close()
    return path


def boot(kernel, initrd):
    argv = ["qemu-system-x86_64", "-nographic", "-no-reboot", "-m", str(MEMORY_MB), "-accel", "tcg",
            "-cpu", "max,+svm", "-kernel", kernel, "-initrd", initrd, "-append",
            "console=ttyS0 panic=1 mitigations=off nokaslr quiet"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    return done.stdout.decode(errors="replace").replace("\r", "")


def differs(expected, text, code):
    """What is wrong with an answer, or None."""
    if expected is None:
        return None if code == 0 else f"exit code {code}: {text[-600:]}"
    line = next((line for line in text.splitlines() if line.startswith("{")), None)
    if line is None:
        return f"no outcome: {text[-600:]}"
    outcome = json.loads(line)
    outcome["rung"] = outcome["engine"]["rung"]
    wrong = {key: outcome.get(key) for key, value in expected.items() if outcome.get(key) != value}
    return f"{wrong} in {line[:600]}" if wrong else None


def judge(console):
    failed = 0
    for number, (name, _, expected) in enumerate(commands()):
        found = re.search(rf"RIG BEGIN {number}\n(.*?)\nRIG END {number} (\d+)", console, re.DOTALL)
        problem = differs(expected, found.group(1), int(found.group(2))) if found else "did not run"
        print(f"{'not ok' if problem else 'ok'} - {name}" + (f": {problem}" if problem else ""))
        failed += bool(problem)
    if "RIG DONE" not in console:
        print("not ok - the machine did not come to its end\n" + console[-2000:])
        failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    build = parser.parse_args().build.resolve()
    if not shutil.which("qemu-system-x86_64"):
        print("qemu-system-x86_64 is missing (package qemu-system-x86)", file=sys.stderr)
        return 2
    folder = build / "vanilla-kvm"
    folder.mkdir(exist_ok=True)
    kernel, modules = fetch_kernel(folder)
    console = boot(kernel, make_initrd(build, folder, modules))
    (folder / "console.txt").write_text(console)
    return 1 if judge(console) else 0


if __name__ == "__main__":
    sys.exit(main())
