"""docs/comparison.md: what it says of other tools is tried out, with those that are installed."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "comparison.md").read_text()
BWRAP = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr",
         "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev",
         "/dev", "--tmpfs", "/tmp"]
NSJAIL = ["nsjail", "-Q", "-Mo", "-R", "/usr", "-R", "/lib", "-R", "/lib64", "-T", "/tmp", "--"]
PYTHON = "/usr/bin/python3"
DAEMON = ("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep({})\n")


def needs(words):
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    if subprocess.run([*words, PYTHON, "-c", "pass"], capture_output=True).returncode:
        pytest.skip(f"{words[0]} does not start here")


def run(words, code, **options):
    return subprocess.run([*words, PYTHON, "-I", "-c", code], capture_output=True, text=True, timeout=60,
                          **options)


def living(mark):
    """Processes with the mark on their command line, by the text of /proc."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def daemon_outlives(words):
    mark = f"40.{os.getpid()}"
    run_ = subprocess.run([*words, PYTHON, "-I", "-c", DAEMON.format(mark)], timeout=30,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert run_.returncode == 0
    time.sleep(0.3)
    left = living(mark)
    for pid in left:
        os.kill(pid, 9)
    return bool(left)


@pytest.fixture(params=[[], BWRAP, NSJAIL], ids=["subprocess", "bwrap", "nsjail"])
def tool(request):
    if request.param:
        needs(request.param)
    return request.param


def test_the_command_lines_are_those_of_the_page():
    assert " ".join(BWRAP) in TEXT and " ".join(NSJAIL) in TEXT


def test_environment(tool):
    seen = run(tool, "import os; print(os.environ.get('PSB_MARK'))", env={**os.environ, "PSB_MARK": "x"})
    assert seen.stdout == ("None\n" if tool == NSJAIL else "x\n")


def test_descriptors(tool):
    """As a shell or a C program starts it, not close-on-exec."""
    with open("/etc/hostname") as file:
        os.set_inheritable(file.fileno(), True)
        code = f"import os; os.fstat({file.fileno()})"
        seen = run(tool, code, close_fds=not tool)
    assert (seen.returncode == 0) == (tool == BWRAP), seen


def test_no_filter_of_system_calls(tool):
    code = ("import ctypes; c = ctypes.CDLL(None, use_errno=True); c.syscall(425, 1, 0); "
            "print(ctypes.get_errno())")
    assert run(tool, code).stdout == "14\n"  # EFAULT: the kernel has looked at it


def test_programs_and_namespaces_can_be_made(tool):
    code = ("import ctypes, os, subprocess; subprocess.run(['/usr/bin/env', 'true'], check=True); "
            "print(ctypes.CDLL(None).syscall(272, 0x10000000))")
    assert run(tool, code).stdout == "0\n"


def test_limits(tool):
    seen = run(tool, "import resource as r; print(*[r.getrlimit(x)[0] for x in (r.RLIMIT_AS, r.RLIMIT_FSIZE)])")
    assert seen.stdout == ("4294967296 1048576\n" if tool == NSJAIL else "-1 -1\n")


def test_output_has_no_cap(tool):
    assert len(run(tool, "print('x' * 20_000_000)").stdout) == 20_000_001


def test_daemons(tool):
    assert daemon_outlives(tool) == (tool == [])


def test_bwrap_without_a_pid_namespace():
    needs(BWRAP)
    words = ["bwrap", "--ro-bind", "/", "/"]
    assert daemon_outlives(words)
    assert "lo:" in run(words, "print(open('/proc/net/dev').read())").stdout


def test_bwrap_tells_137_and_a_kill_alike():
    needs(BWRAP)
    assert run(BWRAP, "import os; os.kill(os.getpid(), 9)").returncode == 137
    assert run(BWRAP, "import sys; sys.exit(137)").returncode == 137


def test_nsjails_time_limit():
    needs(NSJAIL)
    assert run([*NSJAIL[:3], "-t", "1", *NSJAIL[3:]], "import time; time.sleep(20)").returncode == 137


def test_the_timeout_of_subprocess_spares_grandchildren():
    mark = f"42.{os.getpid()}"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["sh", "-c", f"sleep {mark} & wait"], capture_output=True, timeout=0.3)
    left = living(mark)
    for pid in left:
        os.kill(pid, 9)
    assert left


def test_nsjails_own_world():
    needs(NSJAIL)
    code = ("import os, socket; s = os.statvfs('/tmp'); print(os.getpid(), s.f_blocks * s.f_frsize, "
            "len(socket.if_nameindex()), bool(socket.socket()))")
    assert run(NSJAIL, code).stdout == f"1 {4 << 20} 1 True\n"


def test_pysandbox_beside_them(pysandbox):
    """The same probes; doctor and the suites have the rest."""
    seen = pysandbox.run("import os\nresult = os.environ.get('PSB_MARK')", env={**os.environ, "PSB_MARK": "x"})
    assert seen["status"] == "ok" and seen["result"] is None
    seen = pysandbox.run("print('x' * 20_000_000)")
    assert seen["status"] == "output_limit"
    seen = pysandbox.run(DAEMON.format(f"41.{os.getpid()}") + "result = 1\n")
    assert not living(f"41.{os.getpid()}")
