"""doctor: what it reports, that it can fail, and that it leaves nothing behind."""

import ctypes
import errno
import functools
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import psbtest  # noqa: E402

SCHEMA = json.loads((ROOT / "docs" / "doctor.schema.json").read_text())
PATIENCE_S = 180
ATTACKS = ("files_read files_write network signals trace mounts namespaces calls doors programs "
           "leaks residue").split()
USERS = [pytest.param("self", id="self"),
         pytest.param("user", id="user", marks=pytest.mark.skipif(
             os.geteuid() != 0, reason="needs root to choose the user"))]


def doctor(*words, user="self", env=None, **popen):
    """Exit code, stdout and stderr of one doctor, and the check that nothing is left of it."""
    traces = psbtest.Traces()
    process = psbtest.spawn([psbtest.command(), "doctor", *words], psbtest.Config(user),
                            env=psbtest.environment(env), **popen)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except BaseException:
        process.kill()
        raise
    traces.check(out[-2000:], grace_s=5)
    return process.returncode, out.decode(), err.decode()


def report(*words, **options):
    code, out, err = doctor("--json", *words, **options)
    assert out, err
    value = json.loads(out, object_pairs_hook=psbtest.no_duplicates)
    jsonschema.validate(value, SCHEMA)
    assert value["exit_code"] == code and not err, err
    return value


@functools.lru_cache(maxsize=None)
def whole_report(user):
    return report(user=user)


@functools.lru_cache(maxsize=None)
def uncaged_report():
    """Never as root: signals to everybody are for the user's own processes only."""
    user = "user" if os.geteuid() == 0 else "self"
    return report(user=user, env={"PSB_DOCTOR_UNCAGED": "1"})


def attacked(value):
    return [cage for cage in value["cages"] if cage["state"] == "tested"]


def steps(cage):
    return {(attack["name"], step["name"]): step
            for attack in cage["attacks"] for step in attack["steps"]}


@pytest.mark.parametrize("user", USERS)
def test_everything_holds(user):
    value = whole_report(user)
    bad = [(cage["engine"], cage["rung"], key, step) for cage in attacked(value)
           for key, step in steps(cage).items() if step["verdict"] in ("leak", "untested")]
    assert value["exit_code"] == 0 and not bad, bad


@pytest.mark.parametrize("user", USERS)
def test_every_rung_of_the_host_is_attacked(user):
    value = whole_report(user)
    for cage in value["cages"]:
        if cage["engine"] != "native":
            continue
        probe = psbtest.run("result = 1", psbtest.Config(user, cage["rung"]),
                            args=["--require", "1"])
        assert (cage["state"] == "tested") == (probe.status == "ok"), cage["reason"]
        assert cage["state"] == "tested" or cage["reason"]
    assert len([cage for cage in value["cages"] if cage["engine"] == "native"]) in (1, 4)


@pytest.mark.parametrize("user", USERS)
def test_every_attack_was_made_on_every_cage(user):
    expected = set(steps(uncaged_report()["cages"][0]))
    outside = {"bait_changed", "bait_made", "made_outside", "listener_reached", "victim"}
    expected = {key for key in expected if key[1] not in outside}
    assert len(expected) > 150
    for cage in attacked(whole_report(user)):
        assert [attack["name"] for attack in cage["attacks"]] == ATTACKS
        missing = expected - set(steps(cage))
        assert not missing, (cage["engine"], cage["rung"], missing)


def test_open_only_where_the_cage_says_so():
    for cage in attacked(whole_report("self")):
        for key, step in steps(cage).items():
            if step["verdict"] == "open":
                assert cage["controls"][step["control"]] == "", (cage["rung"], key)
        if cage["level"] >= 5:
            assert all(step["verdict"] in ("held", "absent") for step in steps(cage).values())


def test_the_table():
    code, out, err = doctor()
    assert code == 0 and not err
    assert "\033" not in out
    lines = out.splitlines()
    head = next(line for line in lines if line.startswith("ENGINE"))
    rows = [line for line in lines if line.startswith("native ") and "not offered" not in line]
    assert len(rows) % len(ATTACKS) == 0 and rows
    for row in rows:
        assert row[head.index("VERDICT"):].startswith(("held ", "open ")), row
        assert row[head.index("STEPS"):].split()[0].replace("/", "").isdigit(), row
        if row[head.index("VERDICT"):].startswith("held "):  # by a mechanism that the outcome names
            assert not row[head.index("HELD BY"):].startswith("-"), row
    assert "got out: 0" in lines[-1]


def test_colours_on_a_terminal_only():
    master, slave = pty.openpty()
    traces = psbtest.Traces()
    process = subprocess.Popen([psbtest.command(), "doctor"], stdin=slave, stdout=slave,
                               stderr=slave, env=psbtest.environment())
    os.close(slave)
    seen = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError as problem:
            assert problem.errno == errno.EIO
            break
        if not data:
            break
        seen += data
    assert process.wait(60) == 0
    os.close(master)
    assert b"\033[32mheld\033[0m" in seen
    traces.check(grace_s=5)


# That it can fail: without a cage the same attacks get through, and the judge says so.


def test_without_a_cage_every_attack_leaks():
    value = uncaged_report()
    assert value["exit_code"] == 1
    verdicts = {attack["name"]: attack["verdict"] for attack in value["cages"][0]["attacks"]}
    assert verdicts == {name: "leak" for name in ATTACKS}


@pytest.mark.parametrize("attack, step", [
    ("files_read", "by_path"), ("files_read", "private_file"), ("files_read", "list_directory"),
    ("files_write", "overwrite"), ("files_write", "bait_changed"), ("files_write", "made_outside"),
    ("network", "tcp"), ("network", "unix_abstract"), ("network", "unix_path"),
    ("network", "listener_reached"), ("signals", "victim"), ("trace", "read_memory"),
    ("trace", "victim"), ("mounts", "mount"), ("calls", "bpf"), ("calls", "bpf_by_instruction"),
    ("programs", "execve"), ("programs", "from_the_workspace"), ("leaks", "environment"),
    ("leaks", "descriptors"), ("leaks", "memory"), ("residue", "file_in_workspace"),
])
def test_without_a_cage_this_gets_out(attack, step):
    found = steps(uncaged_report()["cages"][0])[attack, step]
    assert found["verdict"] == "leak", found


def test_without_a_cage_the_secrets_are_the_proof():
    text = json.dumps(uncaged_report())
    for kind in "abcdefg":
        assert f"PSBMARK{kind}" in text, f"the mark {kind} is never found: its attack proves nothing"


def test_not_without_a_cage_as_root():
    if os.geteuid():
        pytest.skip("needs root")
    code, out, err = doctor(env={"PSB_DOCTOR_UNCAGED": "1"})
    assert code == 2 and not out and "root" in err


# Hosts that lack something


def deny(*numbers, error=errno.EPERM):
    """A preexec function: a filter that refuses calls, as a container's profile would."""
    def install():
        rows = [(0x20, 0, 0, 0)]
        for index, number in enumerate(numbers):
            rows.append((0x15, len(numbers) - index, 0, number))
        rows += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x00050000 | error)]
        install_filter(rows)
    return install


def install_filter(rows):
    code = b"".join(struct.pack("HBBI", *row) for row in rows)
    program = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(rows), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.create_string_buffer(header, len(header)), 0, 0) == 0


def deny_namespaces():
    """What Docker's standard profile does: no unshare, no clone with CLONE_NEWUSER, no clone3."""
    install_filter([(0x20, 0, 0, 0), (0x15, 4, 0, 272), (0x15, 4, 0, 435), (0x15, 0, 4, 56),
                    (0x20, 0, 0, 16), (0x45, 0, 2, 0x10000000),
                    (0x06, 0, 0, 0x00050000 | errno.EPERM), (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
                    (0x06, 0, 0, 0x7fff0000)])


SECCOMP, LANDLOCK = 317, 444


def item(value, name):
    return next(item for item in value["host"] if item["name"] == name)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_a_host_where_nothing_can_be_tested():
    value = report(preexec_fn=deny(SECCOMP))
    assert value["exit_code"] == 125 and not attacked(value)
    assert item(value, "seccomp")["state"] == "missing" and item(value, "seccomp")["remedy"]
    code, out, _ = doctor(preexec_fn=deny(SECCOMP))
    assert code == 125 and "No cage could be tested" in out


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_a_host_without_namespaces():
    value = report(preexec_fn=deny_namespaces)
    found = item(value, "namespaces")
    assert found["state"] == "missing" and "unshare" in found["remedy"]
    assert [cage["rung"] for cage in attacked(value) if cage["engine"] == "native"] == ["C", "D"]
    assert value["exit_code"] == 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_a_host_without_landlock():
    value = report(preexec_fn=deny(LANDLOCK, error=errno.ENOSYS))
    assert item(value, "landlock")["state"] == "weak" and "lsm=" in item(value, "landlock")["remedy"]
    assert "C" not in [cage["rung"] for cage in attacked(value) if cage["engine"] == "native"]
    assert value["exit_code"] == 0


def test_an_installation_that_is_broken(tmp_path):
    """The host has what it takes, and yet no cage starts: that is no lack of the host's."""
    shutil.copy(psbtest.command(), tmp_path / "pysandbox")
    libexec = pathlib.Path(psbtest.command()).resolve().parent / "libexec"
    (tmp_path / "libexec").mkdir()
    (tmp_path / "libexec" / "psb").symlink_to(libexec / "psb")
    shutil.copy("/bin/false", tmp_path / "libexec" / "pysandbox-keeper")
    done = subprocess.run([tmp_path / "pysandbox", "doctor", "--json", "--engine", "native"],
                          capture_output=True, timeout=PATIENCE_S, env=psbtest.environment())
    value = json.loads(done.stdout)
    jsonschema.validate(value, SCHEMA)
    assert done.returncode == value["exit_code"] == 125
    assert "failed" in [cage["state"] for cage in value["cages"]]
    assert all(cage["reason"] for cage in value["cages"])


@pytest.mark.parametrize("user", USERS)
def test_every_lack_has_a_remedy(user):
    names = [item["name"] for item in whole_report(user)["host"]]
    assert names == ["kernel", "user", "namespaces", "seccomp", "landlock", "cgroups", "kvm",
                     "python", "mitigations", "smt", "ptrace"]
    for found in whole_report(user)["host"]:
        assert found["value"] and bool(found["remedy"]) == (found["state"] != "ok"), found


# Its behaviour as a command


def test_one_engine_only():
    value = report("--engine", "native")
    assert {cage["engine"] for cage in value["cages"]} == {"native"}


def test_an_unknown_engine():
    code, out, err = doctor("--engine", "steam")
    assert code == 2 and not out and "steam" in err


def test_where_it_cannot_work_it_does_not_say_leak():
    code, out, err = doctor(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)))
    assert code == 126 and not out
    assert err.startswith("pysandbox: doctor: cannot place") and err.count("\n") == 1


@pytest.mark.parametrize("delay", [0.05, 0.4, 1.5])
def test_interrupted_it_leaves_nothing(delay):
    traces = psbtest.Traces()
    process = psbtest.spawn([psbtest.command(), "doctor"], env=psbtest.environment())
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out, err
    traces.check(grace_s=5)


def test_killed_it_leaves_no_process_and_the_next_removes_its_bait():
    traces = psbtest.Traces()
    process = psbtest.spawn([psbtest.command(), "doctor"], env=psbtest.environment())
    time.sleep(0.6)
    process.kill()
    process.communicate()
    left = traces.left(5)
    assert not [trace for trace in left if trace.startswith(("process", "mount"))], left
    baits = [pathlib.Path(trace) for trace in left
             if re.fullmatch(r"/tmp/pysandbox-doctor-\w{6}", trace) and (pathlib.Path(trace) / "mount").is_dir()]
    time.sleep(max(0, 12 - 5))  # a young one may still be on its way to its lock
    doctor("--engine", "native", preexec_fn=deny(SECCOMP))
    assert not [path for path in baits if path.exists()]


def test_removal_follows_no_link(tmp_path):
    """Others may write in the bait while it is there; the doctor removes links, not their aims."""
    (tmp_path / "kept").write_text("kept")
    process = psbtest.spawn([psbtest.command(), "doctor"], env=psbtest.environment())
    end = time.monotonic() + 10
    bait = None
    while not bait and time.monotonic() < end:
        for fd in pathlib.Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                place = os.readlink(fd)
            except OSError:
                continue
            if re.fullmatch(r"/tmp/pysandbox-doctor-\w{6}", place) and os.path.isdir(place + "/work"):
                bait = pathlib.Path(place)
        time.sleep(0.005)
    assert bait, "the doctor has shown no bait"
    (bait / "work" / "link").symlink_to(tmp_path)
    (bait / "work" / "deep").mkdir()
    (bait / "work" / "deep" / "link").symlink_to(tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert not bait.exists()
    assert (tmp_path / "kept").read_text() == "kept"
