"""The microVM engine's images: built once, private, checked, and never half there."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

PRIVATE = 0o700
CANCELLED = 130
MEMORY_AT = 0x10000

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="needs /dev/kvm")


@pytest.fixture
def cache(tmp_path):
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}


def store(cache):
    return pathlib.Path(cache["XDG_CACHE_HOME"]) / "pysandbox"


def names(cache):
    return sorted(path.name for path in store(cache).iterdir())


def test_build_list_verify_and_damage(pysandbox, cache):
    done = pysandbox("image", "build", env=cache)
    assert done.code == 0, done
    assert "packing" in done.stderr and "booting" in done.stderr
    image, snapshot = names(cache)
    assert image.startswith("fs-") and snapshot.startswith("vm-")
    assert store(cache).stat().st_mode & 0o777 == PRIVATE
    again = pysandbox("image", "build", env=cache)
    assert again.code == 0 and not again.stderr, again
    listed = pysandbox("image", "list", env=cache)
    assert listed.stdout.startswith(snapshot) and "python3" in listed.stdout
    assert "verified" in pysandbox("image", "verify", env=cache).stdout
    outcome = pysandbox.run("result = 6 * 7", "--engine", "microvm", env=cache)
    assert outcome["status"] == "ok" and outcome["result"] == 42
    assert names(cache) == [image, snapshot]
    with open(store(cache) / image, "r+b") as file:
        file.seek(5 << 20)
        byte = file.read(1)
        file.seek(5 << 20)
        file.write(bytes([byte[0] ^ 1]))
    damaged = pysandbox("image", "verify", env=cache)
    assert damaged.code != 0 and image in damaged.stderr and "damaged" in damaged.stderr


def test_a_store_that_others_may_enter_is_refused(pysandbox, cache):
    store(cache).mkdir()
    store(cache).chmod(0o755)
    outcome = pysandbox.run("result = 1", "--engine", "microvm", env=cache)
    assert outcome["status"] == "unavailable"
    assert "0700" in str(outcome["fallback"]), outcome["fallback"]
    assert not names(cache)


def test_a_snapshot_of_the_wrong_size_is_refused(pysandbox, cache):
    assert pysandbox("image", "build", env=cache).code == 0
    _, snapshot = names(cache)
    os.truncate(store(cache) / snapshot, MEMORY_AT + 4096)
    outcome = pysandbox.run("result = 1", "--engine", "microvm", env=cache)
    assert outcome["status"] == "unavailable"
    assert "build again" in str(outcome["fallback"]), outcome["fallback"]


def test_builders_at_once_share_one_result(pysandbox, cache):
    builders = [pysandbox.start("image", "build", env=cache) for _ in range(3)]
    for builder in builders:
        _, stderr = builder.communicate(timeout=120)
        assert builder.returncode == 0, stderr
    assert len(names(cache)) == 2, names(cache)


def test_a_preload_that_fails_says_so(pysandbox, cache):
    done = pysandbox("image", "build", "--preload", "no_such_module", env=cache)
    assert done.code != 0 and "no_such_module" in done.stderr, done
    assert not [name for name in names(cache) if name.startswith("vm-")]


def test_a_builder_that_is_killed_leaves_nothing_half(pysandbox, cache):
    builder = pysandbox.start("image", "build", env=cache, stderr=subprocess.PIPE)
    assert builder.stderr.readline()
    builder.kill()
    builder.communicate()
    done = pysandbox("image", "build", env=cache)
    assert done.code == 0, done
    assert len(names(cache)) == 2


def unfinished(cache):
    return [name for name in names(cache) if name.endswith(".new")] if store(cache).exists() else []


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGINT), ids=("kill", "interrupt"))
@pytest.mark.parametrize("step", ("gathering", "packing", "booting"))
def test_a_run_that_is_killed_while_it_builds_leaves_nothing(pysandbox, cache, number, step):
    traces = psbtest.Traces()
    run = pysandbox.start("run", "--verbose", "--engine", "microvm", "-c", "result = 1", env=cache)
    for line in run.stderr:
        if step.encode() in line:
            break
    else:
        raise AssertionError(f"it never was at {step}")
    run.send_signal(number)
    run.communicate(timeout=10)
    assert run.returncode == (-number if number == signal.SIGKILL else CANCELLED)
    traces.check(None, 3.0)
    assert not unfinished(cache), names(cache)


HOST = """
import os, sys, time
sys.path.insert(0, {lib!r})
import psbcapi
sandbox = psbcapi.Sandbox(engine="microvm")
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(30)
    os._exit(0)
print(child, flush=True)
time.sleep(30)
"""


def test_a_host_that_dies_while_its_child_lives_ends_the_building(cache):
    traces = psbtest.Traces()
    host = psbtest.spawn([psbtest.PYTHON, "-c", HOST.format(lib=str(psbtest.ROOT / "tests/lib"))],
                         env={**cache, "PYSANDBOX": psbtest.command()})
    child = int(host.stdout.readline())
    time.sleep(0.5)
    host.kill()
    host.stdout.close()
    host.stderr.close()
    host.wait()
    end = time.monotonic() + 3
    while time.monotonic() < end and traces.left(0) - {f"process {child}"}:
        time.sleep(0.05)
    left = traces.left(0) - {f"process {child}"}
    psbtest.kill_quietly(child)
    assert not left and not unfinished(cache)
    traces.check()


def test_the_first_run_under_auto_builds_and_the_second_finds_it(pysandbox, cache):
    first = pysandbox("run", "--engine", "auto", "--json", "-c", "result = 1", env=cache)
    assert first.outcome["engine"]["name"] == "microvm" and first.outcome["fallback"] == [], first
    assert first.stderr.count("\n") <= 1, first
    again = pysandbox("run", "--engine", "auto", "--json", "-c", "result = 1", env=cache)
    assert again.outcome["engine"]["name"] == "microvm" and not again.stderr, again
    quiet = pysandbox("run", "--engine", "auto", "--verbose", "-c", "1", env=cache).stderr
    assert "packing" not in quiet and "engine microvm is open" in quiet


def test_a_terminal_sees_the_steps_and_then_the_output_alone(pysandbox, cache):
    mine, theirs = os.openpty()
    run = pysandbox.start("run", "--engine", "auto", "-c", "print('said')", env=cache, stderr=theirs)
    os.close(theirs)
    shown = b""
    with os.fdopen(mine, "rb", buffering=0) as terminal:
        try:
            while piece := terminal.read(4096):
                shown += piece
        except OSError:
            pass  # how a terminal says that its other end is closed
    assert run.communicate(timeout=60)[0] == b"said\n" and run.returncode == 0
    assert b"building an image: packing" in shown and b"\n" not in shown
    assert shown.endswith(b"\r\x1b[K"), shown[-40:]


@pytest.mark.parametrize("floor, engine", (("5", "native"), ("8", None)))
def test_an_image_that_cannot_be_built_is_no_way_below_the_floor(pysandbox, cache, floor, engine):
    store(cache).mkdir()
    store(cache).chmod(0o755)
    outcome = pysandbox("run", "--engine", "auto", "--json", "--require", floor, "-c", "result = 1",
                        env=cache).outcome
    assert outcome["fallback"][0]["engine"] == "microvm"
    assert "0700" in outcome["fallback"][0]["reason"], outcome["fallback"]
    assert outcome["status"] == ("ok" if engine else "unavailable")
    assert (outcome["engine"] or {}).get("name") == engine


def test_a_boot_that_fails_under_auto_is_a_fallback(pysandbox, cache):
    done = pysandbox("run", "--engine", "auto", "--json", "--preload", "no_such_module", "-c", "1",
                     env=cache)
    reasons = {item["engine"]: item["reason"] for item in done.outcome["fallback"]}
    assert "no_such_module" in reasons["microvm"], reasons
    assert not unfinished(cache)


def test_prune_keeps_what_is_of_use(pysandbox, cache):
    assert pysandbox("image", "build", env=cache).code == 0
    image, snapshot = names(cache)
    old_image, old_snapshot = "fs-" + "0" * 32 + ".img", "vm-" + "0" * 32 + ".snap"
    shutil.copy(store(cache) / snapshot, store(cache) / old_snapshot)
    with open(store(cache) / old_snapshot, "r+b") as file:
        at = file.read(4096).index(image.encode())
        file.seek(at)
        file.write(old_image.encode())
    (store(cache) / old_image).write_bytes(b"")
    (store(cache) / (image + ".new")).write_bytes(b"")
    (store(cache) / "kept").write_bytes(b"")
    an_hour_ago = time.time() - 3700
    os.utime(store(cache) / old_snapshot, (an_hour_ago, an_hour_ago))
    done = pysandbox("image", "prune", env=cache)
    assert done.code == 0 and old_image in done.stdout and old_snapshot in done.stdout, done
    assert names(cache) == sorted([image, snapshot, "kept"])
    assert not pysandbox("image", "prune", env=cache).stdout
    for name in (image, snapshot):
        os.utime(store(cache) / name, (0, 0))
    assert "1970-01-01" in pysandbox("image", "list", env=cache).stdout
    assert pysandbox.run("result = 1", "--engine", "microvm", env=cache)["status"] == "ok"
    assert not pysandbox("image", "prune", env=cache).stdout, "it has just been used"
    for name in (image, snapshot):
        os.utime(store(cache) / name, (0, 0))
    assert pysandbox("image", "prune", env=cache).stdout.count("removed") == 2
    assert names(cache) == ["kept"]


def test_prune_waits_for_no_builder(pysandbox, cache):
    store(cache).mkdir(mode=0o700)
    held = os.open(store(cache), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = pysandbox("image", "prune", env=cache)
    finally:
        os.close(held)
    assert done.code != 0 and "prune again later" in done.stderr


def test_prune_removes_nothing_when_it_cannot_see_all(pysandbox, cache):
    """An image may be needed by a snapshot that was not looked at."""
    store(cache).mkdir(mode=0o700)
    for number in range(257):
        (store(cache) / f"vm-{number:032x}.snap").write_bytes(b"")
    (store(cache) / ("fs-" + "0" * 32 + ".img")).write_bytes(b"")
    done = pysandbox("image", "prune", env=cache)
    assert done.code != 0 and "nothing was removed" in done.stderr, done
    assert len(names(cache)) == 258
    (store(cache) / f"vm-{0:032x}.snap").unlink()
    assert pysandbox("image", "prune", env=cache).stdout.count("removed") == 257
    assert names(cache) == []


def test_installations_of_one_build_share_an_image(pysandbox, cache, tmp_path):
    assert pysandbox("image", "build", env=cache).code == 0
    build = pathlib.Path(pysandbox.path).resolve().parent
    place = tmp_path / "other"
    shutil.copytree(build / "libexec", place / "libexec")
    shutil.copy(pysandbox.path, place / "pysandbox")
    done = subprocess.run([place / "pysandbox", "image", "build"], env=cache, capture_output=True,
                          timeout=60, check=True)
    assert b"packing" not in done.stderr and b"booting" in done.stderr
    assert len([name for name in names(cache) if name.startswith("fs-")]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_a_user_without_access_is_told_and_falls_back(pysandbox):
    uid = psbtest.USER_ID
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    if os.stat("/dev/kvm").st_mode & 0o006:
        pytest.skip("everybody may use /dev/kvm here")
    someone = {"user": uid, "group": uid, "extra_groups": [], "env": env}
    engines = {engine["name"]: engine for engine in json.loads(
        pysandbox("engines", "--json", **someone).stdout)}
    assert not engines["microvm"]["available"]
    assert "adduser USER kvm" in engines["microvm"]["missing"], engines
    outcome = pysandbox("run", "--engine", "auto", "--json", "--require", "4", "-c", "result = 1",
                        **someone).outcome
    assert outcome["status"] == "ok" and outcome["engine"]["name"] == "native", outcome
    assert "adduser" in outcome["fallback"][0]["reason"]
    outcome = pysandbox("run", "--engine", "microvm", "--json", "-c", "result = 1", **someone).outcome
    assert outcome["status"] == "unavailable" and "adduser" in outcome["error"]["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_a_user_with_access_runs_from_their_own_cache():
    door, home = psbtest.kvm_door(), psbtest.session_dir() / "home" / "cached"
    home.mkdir()
    os.chown(home, psbtest.USER_ID, psbtest.USER_ID)
    try:
        for _ in range(2):
            done = subprocess.run(
                [*door, psbtest.command(), "run", "--engine", "auto", "--json", "-c", "result = 1"],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}, timeout=120,
                capture_output=True, check=True)
            assert json.loads(done.stdout)["engine"]["name"] == "microvm", done
        made = sorted((home / ".cache" / "pysandbox").iterdir())
        assert [path.name[:3] for path in made] == ["fs-", "vm-"]
        assert {path.stat().st_uid for path in made} == {psbtest.USER_ID}
    finally:
        shutil.rmtree(home)
