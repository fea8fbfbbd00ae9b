"""The walls around the microVM engine's processes, seen from outside: this process is the host.

Workers, supervisors and the process that boots an image are found below us and looked at through
/proc. Nothing here asks the guest.
"""
import ctypes
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

OFF = '{"imports":{"mode":"off"}}'
NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
SECCOMP_FILTER = "2"
NO_CAPABILITY = "0" * 16
IN_OPEN, EVENT_BYTES = 0x20, 16
LARGE_PAGE = 2 << 20

pytestmark = pytest.mark.skipif(
    not os.access("/dev/kvm", os.R_OK | os.W_OK) or os.geteuid() != 0,
    reason="needs /dev/kvm, and root to look into processes that are not dumpable")


@pytest.fixture(scope="module", autouse=True)
def image(pysandbox):
    os.environ.setdefault("XDG_CACHE_HOME", str(pathlib.Path(psbtest.command()).resolve().parent / "cache"))
    psbtest.become_subreaper()
    done = pysandbox("image", "build", timeout=300)
    assert done.code == 0, done


@pytest.fixture
def traces():
    traces = psbtest.Traces()
    yield traces
    traces.check()


def sandbox(policy=OFF, **options):
    options.setdefault("pool_size", 1)
    box = psbcapi.Sandbox(engine="microvm", policy=policy, **options)
    box.warm()
    return box


def links(pid):
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue  # closed while we looked
    return found


def machines(root=None):
    """The processes below us that have a virtual processor."""
    found = []
    for pid in psbtest.descendants(root or os.getpid()):
        try:
            if any("kvm-vcpu" in link for link in links(pid).values()):
                found.append(pid)
        except OSError:
            continue  # ended while we looked
    return sorted(found)


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def assert_caged(pid):
    facts = status(pid)
    assert facts["Seccomp"] == SECCOMP_FILTER and facts["NoNewPrivs"] == "1"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert kind == "CapBnd" or facts[kind] == NO_CAPABILITY, (kind, facts[kind])
    assert facts["Uid"].split()[0] not in ("0", str(os.geteuid())) or os.geteuid() != 0
    for kind in NAMESPACES:
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    assert os.listdir(f"/proc/{pid}/root/") == []


def kinds(pid):
    return sorted(link.partition("[")[0] for link in links(pid).values())


def test_a_worker_has_pipes_and_its_machine_only(traces):
    with sandbox() as box:
        assert box.execute("result = 1")["status"] == "ok"
        [worker] = machines()
        assert kinds(worker) == sorted(["/dev/null", "anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0", "pipe:", "pipe:"])
        assert_caged(worker)


@pytest.mark.parametrize("slots", [9, 10, 11, 12, 32])
def test_many_workers_keep_their_own_descriptors(traces, slots):
    """Beside the groups of all slots that the supervisor holds open."""
    with sandbox(pool_size=slots) as box:
        box.warm(3)
        for number in range(6):
            box.submit(f"result = {number}")
        assert sorted(outcome.get("result", -1) for outcome in box.outcomes(6).values()) == list(range(6))
        box.warm(3)
        assert len(machines()) >= 3
        for worker in machines()[:3]:
            assert len(kinds(worker)) == 5, kinds(worker)


def test_the_process_that_boots_an_image_is_caged_like_a_worker(pysandbox, tmp_path):
    """While site-packages run in it: its own root, no right, its machine and one pipe."""
    builder = pysandbox.start("image", "build", env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
    seen, end = None, time.monotonic() + 120
    while builder.poll() is None and not seen and time.monotonic() < end:
        for pid in machines():
            try:
                if status(pid)["Seccomp"] == SECCOMP_FILTER:
                    assert_caged(pid)
                    seen = kinds(pid)
            except OSError:
                continue  # it has just ended
        time.sleep(0.005)
    _, stderr = builder.communicate(timeout=120)
    assert builder.returncode == 0, stderr
    assert seen == sorted(["anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0", "pipe:"])


class Opens:
    """How often a file is opened from now on, by inotify."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.fd, path.encode(), IN_OPEN) > 0

    def count(self):
        try:
            return len(os.read(self.fd, 65536)) // EVENT_BYTES
        except BlockingIOError:
            return 0


def test_the_host_never_opens_kvm(tmp_path):
    """One open for each supervisor, none where nothing is started. Other processes of this machine
    have another node of the device."""
    node = tmp_path / "kvm"
    os.mknod(node, 0o600 | stat.S_IFCHR, os.stat("/dev/kvm").st_rdev)
    opens = Opens(str(node))
    in_its_place = ["unshare", "--mount", "sh", "-c", f'mount --bind {node} /dev/kvm && exec "$0" "$@"']

    def run(*words):
        done = subprocess.run([*in_its_place, psbtest.command(), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        return done.stdout

    assert "microvm" in run("engines")
    assert opens.count() == 0
    assert run("run", "--engine", "microvm", "-c", "result = 1").strip() == "1"
    assert opens.count() == 1
    os.close(opens.fd)


def group_of(pid, controller):
    """The directory of a process's group, v1 or v2."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}")
        if number == "0" and "psb-" in path:
            return pathlib.Path(f"/sys/fs/cgroup{path}")
    raise AssertionError(f"no group for {controller}")


def limit_of(directory, *names):
    for name in names:
        if (directory / name).exists():
            return directory / name
    raise AssertionError(f"none of {names} in {directory}")


def skip_without_groups(pysandbox):
    if pysandbox("run", "--engine", "microvm", "--rung", "A", "-c", "1").code != 0:
        pytest.skip("this host has no control groups for us")


def test_a_worker_has_a_memory_and_a_pids_wall(pysandbox, traces):
    skip_without_groups(pysandbox)
    memory = 64 << 20
    with sandbox(limits={"memory_bytes": memory}) as box:
        outcome = box.execute("result = 1")
        [worker] = machines()
        wall = int(limit_of(group_of(worker, "memory"), "memory.limit_in_bytes", "memory.max").read_text())
        assert memory < wall < memory + (1 << 30)
        assert int((group_of(worker, "pids") / "pids.max").read_text()) <= 16
        assert "psb-" in str(group_of(worker, "pids"))
        assert "worker-cgroup" in outcome["engine"]["controls"]["memory"]["how"]
        assert "worker-cgroup" in outcome["engine"]["controls"]["processes"]["how"]
        groups = [group_of(worker, "memory"), group_of(worker, "pids")]
    assert not any(group.exists() for group in groups), "they are gone when psb_close() returns"


def test_without_control_groups_the_controls_say_so(pysandbox, traces):
    outcome = pysandbox.run("result = 1", "--engine", "microvm", "--rung", "B")
    assert outcome["status"] == "ok" and outcome["engine"]["rung"] == "B"
    assert outcome["engine"]["controls"]["memory"]["how"] == ["memory-slots"]
    assert outcome["engine"]["controls"]["processes"]["how"] == ["one-vcpu"]
    with sandbox(rung="B") as box:
        box.execute("1")
        [worker] = machines()
        assert "psb-" not in pathlib.Path(f"/proc/{worker}/cgroup").read_text()


def test_a_worker_that_meets_its_group_s_wall_is_a_memory_limit(pysandbox, traces):
    skip_without_groups(pysandbox)
    with sandbox(limits={"memory_bytes": 512 << 20, "wall_ms": 20000}) as box:
        assert box.execute("result = 1")["result"] == 1
        [worker] = machines()
        directory = group_of(worker, "memory")
        limit_of(directory, "memory.limit_in_bytes", "memory.max").write_text(str(48 << 20))
        outcome = box.execute("x = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n")
        assert outcome["status"] == "memory_limit", outcome
        assert box.execute("result = 2")["result"] == 2
        assert machines() != [worker]


def test_groups_of_a_killed_host_are_removed_at_the_next_start(pysandbox, traces):
    skip_without_groups(pysandbox)
    box = sandbox()
    [worker] = machines()
    group = group_of(worker, "memory")
    outer = int(group.parent.name.split("-")[1])
    inside = [pid for pid in psbtest.descendants(outer)]
    for pid in [outer, *inside]:
        psbtest.kill_quietly(pid)
    box.close()
    end = time.monotonic() + 5
    while machines() and time.monotonic() < end:
        time.sleep(0.01)
    traces.reap()
    # Nobody is left to remove it but the next start: ours, or that of another user of this machine.
    with sandbox() as again:
        assert again.execute("result = 3")["result"] == 3
        assert not group.parent.exists()


def test_the_supervisor_dies_with_the_process_outside(pysandbox, traces):
    skip_without_groups(pysandbox)
    box = sandbox()
    [worker] = machines()
    outer = int(group_of(worker, "memory").parent.name.split("-")[1])
    psbtest.kill_quietly(outer)
    end = time.monotonic() + 5
    while machines() and time.monotonic() < end:
        time.sleep(0.01)
    assert not machines()
    traces.reap()
    assert box.execute("result = 4")["status"] in ("ok", "unavailable")
    box.close()
    with sandbox():
        pass


def test_an_ended_worker_does_not_keep_the_host_busy(pysandbox, traces):
    """Its pipe has ended, and the supervisor, stopped here, does not tell of its death yet."""
    box = sandbox()
    [worker] = machines()
    supervisor = int(status(worker)["PPid"])
    running = threading.Thread(target=box.execute, args=("import time\ntime.sleep(20)",))
    running.start()
    time.sleep(0.3)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(worker, signal.SIGKILL)
        time.sleep(0.2)
        before = time.process_time()
        time.sleep(1)
        assert time.process_time() - before < 0.3
    finally:
        os.kill(supervisor, signal.SIGCONT)
    running.join(timeout=20)
    assert not running.is_alive()
    box.close()


def test_no_helper_has_the_host_s_real_time_priority(traces):
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        box = sandbox()
    finally:
        os.sched_setscheduler(0, *before)
    [worker] = machines()
    for pid in (worker, int(status(worker)["PPid"])):
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
    assert box.execute("result = 5")["result"] == 5
    box.close()


def test_the_program_s_text_cannot_be_written(traces):
    write = "import ctypes\nctypes.memset({at}, 0, 1)\nresult = 'written'"
    find = ("import itertools\n"
            "lines = [line.split() for line in open('/proc/self/maps')]\n"
            "text = list(itertools.takewhile(lambda line: 'w' not in line[1], lines))\n"
            "result = [int(text[0][0].split('-')[0], 16), int(text[-1][0].split('-')[1], 16)]")
    with sandbox() as box:
        at, end = box.execute(find)["result"]
        first = -(-at // LARGE_PAGE) * LARGE_PAGE
        if first + LARGE_PAGE > end:
            pytest.skip("this interpreter has no whole large page of text")
        outcome = box.execute(write.format(at=first))
        assert outcome["status"] == "crash" and outcome["signal"] == signal.SIGSEGV, outcome
        assert box.execute("result = 6")["result"] == 6
    with sandbox(single_use=True) as box:
        outcome = box.execute(write.format(at=first))
        assert outcome["status"] == "crash" and outcome["signal"] == signal.SIGSEGV, outcome


def test_a_fresh_worker_for_each_execution(traces):
    with sandbox() as box:
        first = machines()
        assert box.execute("result = 1")["status"] == "ok"
        box.warm()
        assert machines() == first, "without the option a worker serves on"
    with sandbox('{"imports":{"mode":"off"},"fresh_worker":true}') as box:
        seen = set()
        for number in range(4):
            box.warm()
            workers = machines()
            assert workers and not seen & set(workers)
            seen |= set(workers)
            outcome = box.execute(f"result = {number}")
            assert outcome["result"] == number
            assert outcome["engine"]["controls"]["state_reset"]["how"] == ["fresh-machine"]


def mappings(pid):
    """(path, {counter: kB}) of each mapping, from smaps."""
    entry, found = None, []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            entry = (" ".join(words[5:]), {"flags": words[1]})
            found.append(entry)
        elif words[-1] == "kB":
            entry[1][words[0].rstrip(":")] = int(words[1])
    return found


def shared_guest_kb(pid):
    """Resident pages of image and snapshot, or of any large mapping, that somebody else may have."""
    shared = 0
    for path, counters in mappings(pid):
        large = counters["Size"] >= 2048 and "kvm" not in path
        if path.endswith((".img", ".snap")) or large:
            shared += counters["Shared_Clean"] + counters["Shared_Dirty"]
            shared += counters["Rss"] if path.endswith((".img", ".snap")) and counters["flags"][3] == "s" else 0
    return shared


def files_mapped(pid):
    return {path.rpartition(".")[2] for path, _ in mappings(pid) if path.endswith((".img", ".snap"))}


def test_without_sharing_no_page_of_the_guest_is_a_file_s(traces):
    code = "import json, decimal\nresult = sum(range(1000))"
    with sandbox(pool_size=2) as box:
        box.warm(2)
        assert box.execute(code)["result"] == 499500
        worker = machines()[0]
        assert files_mapped(worker) == {"img", "snap"} and shared_guest_kb(worker) > 1024
    with sandbox('{"imports":{"mode":"off"},"share_image":false}', pool_size=2) as box:
        box.warm(2)
        for _ in range(3):
            outcome = box.execute(code)
            assert outcome["result"] == 499500
        assert "private-image" in outcome["engine"]["controls"]["host_memory"]["how"]
        box.warm(2)
        for worker in machines():
            assert files_mapped(worker) == set()
            assert shared_guest_kb(worker) == 0


def test_unshared_workers_are_reset_like_others(traces):
    """Memory of one execution is not there in the next, small and large."""
    with sandbox('{"imports":{"mode":"off"},"share_image":false}') as box:
        big = "x = bytearray(b'secret--' * (4 << 20))\nimport builtins\nbuiltins.leak = x\nresult = len(x)"
        assert box.execute(big)["result"] == 32 << 20
        box.warm()
        assert box.execute("import builtins\nresult = hasattr(builtins, 'leak')")["result"] is False
        for _ in range(3):
            box.warm()
            assert box.execute("import os\nresult = os.listdir('.')")["result"] == []


def test_level_ten_s_rows_need_both(pysandbox, tmp_path):
    """The host's mitigations may be missing (level 9); the floor then refuses, and names no option."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"fresh_worker":true,"share_image":false,"imports":{"mode":"off"}}')
    outcome = pysandbox.run("result = 1", "--engine", "microvm", "--policy", policy)
    assert outcome["status"] == "ok"
    mitigated = outcome["engine"]["controls"]["hardware_speculation"]["by"] == "kernel"
    assert outcome["engine"]["level"] == (10 if mitigated else 8)


def test_native_cannot_do_without_sharing(pysandbox, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"share_image":false}')
    outcome = pysandbox.run("result = 1", "--engine", "native", "--policy", policy)
    assert outcome["status"] == "unavailable" and "share_image" in str(outcome["fallback"])


def test_a_user_s_worker_is_caged_too(pysandbox):
    """Nothing of it needs root: the same as an ordinary user, where /dev/kvm lets one."""
    config = psbtest.Config("user")
    if not psbtest.may_use_kvm(config):
        pytest.skip("an ordinary user may not use /dev/kvm here")
    assert psbtest.missing(config) == ""


def test_a_user_without_kvm_is_told_the_remedy(pysandbox):
    if psbtest.may_use_kvm(psbtest.Config("user")):
        pytest.skip("an ordinary user may use /dev/kvm here")
    done = subprocess.run([psbtest.command(), "engines"], user=psbtest.USER_ID, group=psbtest.USER_ID, extra_groups=[],
                          capture_output=True, text=True, check=False, cwd="/")
    assert "adduser USER kvm" in done.stdout, done
