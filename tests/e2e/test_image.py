"""The microVM engine's images: built once, private, checked, and never half there."""

import os
import pathlib
import subprocess

import pytest

PRIVATE = 0o700
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
