"""Helpers of the suites that drive the command.

Theory: every run is one process of the command, started as root or as an ordinary user, on a named
rung. Verdicts come from outside of the guest: the outcome the host wrote, and the traces (process,
mount, control group, file, IPC object) a run left on the host. Nothing the guest says about itself
counts as proof that it was held.
"""
import ctypes
import functools
import json
import os
import signal
import stat
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psbcache

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
# The one place that says which engine a suite runs on; a test that is about another names it.
ENGINE = os.environ.get("PSB_TEST_ENGINE", "native")
IMAGE_SECONDS = 300
# A uid nobody else on the machine uses, so that whatever carries it afterwards is a leftover.
USER_ID = int(os.environ.get("PSB_TEST_UID", 2_000_000 + os.getpid()))
STATUSES = ("ok", "error", "exit", "timeout", "cpu_limit", "memory_limit", "output_limit",
            "result_limit", "process_limit", "disk_limit", "denied", "crash", "cancelled",
            "unknown", "unavailable")
GUEST_STATUSES = ("ok", "error", "exit")
SLACK_S = 0.6
PR_SET_CHILD_SUBREAPER = 36


def command():
    return os.environ.get("PYSANDBOX", str(ROOT / "build" / "pysandbox"))


@dataclass(frozen=True)
class Config:
    """Who runs the command, on which rung (None: the best there is), import layer on or off."""
    user: str = "self"
    rung: str = None
    imports: str = "off"

    def __str__(self):
        layer = "" if self.imports == "off" else "-imports"
        return f"{self.user}-{self.rung or 'best'}{layer}"

    @property
    def uid(self):
        return USER_ID if self.user == "user" else os.geteuid()

    def arguments(self):
        args = []
        if self.rung:
            args += ["--rung", self.rung]
        if self.rung == "D":
            args += ["--require", "3"]
        if self.imports == "off":
            args += ["--policy", policy_file(self.rung)]
        return args


def offered(configs):
    """Those of the configurations that are worth their time on this engine.

    The microVM engine's wall is the same on every rung, what surrounds its worker is not: the best
    rung for each user, and rung D once.
    """
    if ENGINE != "microvm":
        return tuple(configs)
    kept = {}
    for config in configs:
        rung = "D" if config.rung == "D" else None
        if rung is None or config.user != "user":
            kept.setdefault((config.uid, rung, config.imports),
                            Config(config.user, rung, config.imports))
    return tuple(kept.values())


BEST = Config()
# Every rung as root; as an ordinary user those that need no control group of one's own.
LADDER = tuple(Config("root", rung) for rung in "ABCD") + tuple(
    Config("user", rung) for rung in "BCD")


_session_lock = threading.Lock()
_session = []  # the TemporaryDirectory, once somebody needs it


def session_dir():
    """A directory every test user can read, removed when the test process ends.

    Made on first use: a process that only imports this module, and is killed by a test, would
    leave it behind. Threads ask at the same time, so it is whole before it is shown.
    """
    with _session_lock:
        if not _session:
            holder = tempfile.TemporaryDirectory(prefix="psbtest-", dir="/tmp")
            os.chmod(holder.name, 0o755)
            os.mkdir(holder.name + "/home")
            os.chmod(holder.name + "/home", 0o777)
            _session.append(holder)
        return Path(_session[0].name)


@functools.lru_cache(maxsize=None)
def policy_file(rung):
    policy = {"imports": {"mode": "off"}}
    if rung == "D":
        policy["require"] = 3
    return str(write_file(f"policy-{rung or 'best'}.json", json.dumps(policy)))


def write_file(name, content):
    path = session_dir() / name
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    path.chmod(0o644)
    return path


@dataclass
class Run:
    exit_code: int
    raw: bytes
    stderr: str
    wall_s: float
    outcome: dict = field(default_factory=dict)

    def __getattr__(self, name):
        if name in ("status", "result", "limit", "error", "stdout", "usage", "files", "signal"):
            return self.outcome.get(name)
        raise AttributeError(name)

    def __str__(self):
        return (f"exit code {self.exit_code}, {self.wall_s:.3f} s\n"
                f"stdout: {self.raw[:3000]!r}\nstderr: {self.stderr[:2000]!r}")


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"duplicate keys in the outcome: {keys}"
    return dict(pairs)


def refuse_constant(text):
    raise AssertionError(f"bare {text} in the outcome")


def parse_outcome(raw):
    """Exactly one JSON object on stdout, as strict a reader as any."""
    return json.loads(raw.decode("utf-8"), object_pairs_hook=no_duplicates,
                      parse_constant=refuse_constant)


_serial = iter(range(1 << 30))


def arguments(code, config=BEST, *, timeout=2.0, memory="256M", args=(), inputs=None):
    path = write_file(f"run-{next(_serial)}.py", code)
    argv = [command(), "run", "--engine", ENGINE, "--json", "--timeout", str(timeout),
            "--memory", memory, *config.arguments(), *args]
    if inputs is not None:
        argv += ["--input", "@" + str(write_file(path.stem + ".json", json.dumps(inputs)))]
    return [*argv, str(path)]


@functools.lru_cache(maxsize=None)
def kvm_door():
    """Words before a command that make it the test user's, with access to /dev/kvm.

    A node of the same device, which only that user may open, is mounted over it in a mount
    namespace of the command's own: nothing of the host changes.
    """
    node = session_dir() / "private" / "kvm"
    node.parent.mkdir(mode=0o700)
    os.mknod(node, stat.S_IFCHR | 0o600, os.stat("/dev/kvm").st_rdev)
    os.chown(node, USER_ID, USER_ID)
    enter = ('mount --bind "$0" /dev/kvm && exec setpriv --reuid "$1" --regid "$1" --clear-groups '
             '"${@:2}"')
    return ("unshare", "--mount", "--propagation", "private", "bash", "-c", enter, str(node),
            str(USER_ID))


def spawn(argv, config=BEST, **popen):
    """The command as the configuration's user; keywords go to Popen."""
    if config.user == "user" and os.geteuid() == 0:
        if ENGINE == "microvm" and os.path.exists("/dev/kvm"):
            argv = [*kvm_door(), *argv]
        else:
            popen |= {"user": USER_ID, "group": USER_ID, "extra_groups": []}
    popen.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)


def run(code, config=BEST, *, timeout=2.0, deadline=20.0, env=None, popen=None, **options):
    """Runs one program to its outcome. A command that hangs is a failure, never a wait."""
    argv = arguments(code, config, timeout=timeout, **options)
    begin = time.monotonic()
    process = spawn(argv, config, env=environment(env, config), **(popen or {}))
    try:
        raw, stderr = process.communicate(timeout=timeout + deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"the command hung: {argv}") from None
    run_ = Run(process.returncode, raw, stderr.decode(errors="replace"), time.monotonic() - begin)
    if raw:
        try:
            run_.outcome = parse_outcome(raw)
        except ValueError as problem:
            raise AssertionError(f"not one outcome: {problem}\n{run_}") from None
    assert run_.outcome, f"no outcome\n{run_}"
    assert run_.status in STATUSES, str(run_)
    return run_


def environment(extra=None, config=BEST):
    base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(session_dir() / "home"),
            "LANG": "C.UTF-8", "XDG_CACHE_HOME": psbcache.own()}
    if config.user == "user":
        base["XDG_CACHE_HOME"] = psbcache.of_user(USER_ID)
    return base | (extra or {})


def may_use_kvm(config):
    if config.user == "user" and os.geteuid() == 0:
        return os.path.exists("/dev/kvm")
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def build_image(config):
    """The microVM engine's first run builds its image: not what a test should wait for."""
    process = spawn([command(), "image", "build"], config, env=environment(None, config))
    try:
        _, stderr = process.communicate(timeout=IMAGE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError("the image was not built in time") from None
    assert process.returncode == 0, stderr.decode(errors="replace")


@functools.lru_cache(maxsize=None)
def missing(config):
    """Why this host cannot run the configuration, or "" when it can."""
    if config.user in ("root", "user") and os.geteuid() != 0:
        return "needs root to choose the user"
    if not os.access(command(), os.X_OK):
        return f"{command()} is not built"
    if ENGINE == "microvm":
        if not may_use_kvm(config):
            return "no /dev/kvm"
        build_image(config)
    probe = run("result = 1", config)
    if probe.status == "unavailable":
        reasons = [str(item.get("reason", "")) for item in probe.outcome.get("fallback", [])]
        detail = "; ".join(reasons) or (probe.error or {}).get("message", "")
        return f"not offered by this host: {detail}"
    assert probe.status == "ok", f"{config}: the plainest program fails\n{probe}"
    return ""


@functools.lru_cache(maxsize=None)
def startup_s(config):
    """The slowest of three trivial runs: what the clock must forgive."""
    return max(run("result = 1", config).wall_s for _ in range(3))


def assert_in_time(run_, config, wall_s):
    allowed = wall_s + 3 * startup_s(config) + SLACK_S
    assert run_.wall_s < allowed, f"took {run_.wall_s:.2f} s of {allowed:.2f} s\n{run_}"


def become_subreaper():
    """Orphans of every run then land here, however often they fork away."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def process_table():
    """pid -> (parent, state, uid) of every visible process."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            table[int(entry)] = (int(fields[1]), fields[0].decode(), os.stat(f"/proc/{entry}").st_uid)
        except OSError:
            continue  # ended while we looked
    return table


def descendants(pid):
    table, found, todo = process_table(), [], [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, row in table.items() if row[0] == parent]
        found += children
        todo += children
    return found


def control_groups():
    """The groups of keepers; without those that sit beneath another login's memory group."""
    found, foreign_names = set(), set()
    own = next((line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup")
                if ":memory:" in line), "/")
    for base, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if "psb" in name or "pysandbox" in name:
                found.add(os.path.join(base, name))
                if "/memory/" in base + "/" and not base.endswith(own.rstrip("/")):
                    foreign_names.add(name)
    return {path for path in found if path.rpartition("/")[2] not in foreign_names}


def directory_entries():
    found = set()
    for place in ("/tmp", "/dev/shm", "/var/tmp", "/dev/mqueue", "/run"):
        for name in os.listdir(place) if os.path.isdir(place) else ():
            path = f"{place}/{name}"
            try:
                uid = os.lstat(path).st_uid
            except OSError:
                continue  # it has just gone
            if uid == USER_ID or (uid == os.geteuid() and ("psb" in name or "pysandbox" in name)):
                found.add(path)
    own = str(session_dir())
    return {path for path in found if not path.startswith(("/tmp/psbtest-", "/tmp/psbw", "/dev/shm/psbw", own))}


def foreign(trace, mine):
    """Does a process that is none of ours still hold it? Others may test on this machine too."""
    name = trace.rpartition("/")[2].split("-")
    if not trace.startswith("/"):
        return False
    if name[0] == "psb" and name[1].isdigit():  # psb-<pid of the keeper>-...
        return os.path.exists(f"/proc/{name[1]}") and int(name[1]) not in mine
    for pid in process_table():
        if pid not in mine:
            try:
                links = [f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))]
                if any(os.readlink(link).startswith(trace) for link in links):
                    return True
            except OSError:
                continue  # ended while we looked
    return False


class Traces:
    """What the host looked like before; left() says what is new since."""

    def __init__(self):
        become_subreaper()
        self.before = self.snapshot()

    def ours(self, traces):
        mine = {os.getpid(), *descendants(os.getpid())} if traces else ()
        return {trace for trace in traces if not foreign(trace, mine)}

    @staticmethod
    def snapshot():
        me = os.getpid()
        table = process_table()
        own = {f"process {pid}" for pid, row in table.items()
               if row[0] == me or (row[2] == USER_ID and row[1] != "Z")}
        mounts = {"mount " + line.split()[1] for line in open("/proc/self/mounts")}
        ipc = {f"ipc {kind} {line}" for kind in ("shm", "msg", "sem")
               for line in open(f"/proc/sysvipc/{kind}").read().splitlines()[1:]
               if int(line.split()[0]) >= 0 and str(USER_ID) in line.split()}
        return own | mounts | ipc | control_groups() | directory_entries()

    def reap(self):
        for pid, row in process_table().items():
            if row[0] == os.getpid() and row[1] == "Z" and f"process {pid}" not in self.before:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue  # another thread of the test was first

    def left(self, grace_s=2.0):
        """New things that are still there after the grace for freeing memory."""
        end = time.monotonic() + grace_s
        while True:
            self.reap()
            new = self.ours(self.snapshot() - self.before)
            if not new or time.monotonic() > end:
                return new
            time.sleep(0.02)

    def check(self, run_=None, grace_s=2.0):
        """Fails once for each thing: what stays is known from then on."""
        new = self.left(grace_s)
        self.before |= new
        assert not new, f"left behind: {sorted(new)}\n{run_ or ''}"


def kill_quietly(pid):
    """Ends a process the test itself started (or a descendant it found); it may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def remove_mark(path):
    """Removes a file that a guest without a filesystem cut left, if it did."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
