"""Where the microVM engine's images of the tests are kept.

An image has 700 MB and takes seconds, so it outlives the test run: in a cache of the tests' own,
outside of the work tree, where the engine finds it again by the hash of all that it was made from
and removes by itself what has not been used for long. A user that exists only for one test run
borrows one of a few numbered stores: whoever holds its lock owns the files.
"""
import fcntl
import functools
import os
from pathlib import Path

STORES = 16
_locks = []  # descriptors, open as long as this process lives


def base():
    if os.geteuid() == 0:
        return Path("/var/cache/pysandbox-tests")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pysandbox-tests"


@functools.lru_cache(maxsize=None)
def own():
    """What XDG_CACHE_HOME is to be for the user who tests."""
    place = os.environ.get("PSB_TEST_CACHE") or base() / "own"
    os.makedirs(place, mode=0o711, exist_ok=True)
    return str(place)


@functools.lru_cache(maxsize=None)
def of_user(uid):
    """The same for another user; needs root. One that nobody uses now is given to them."""
    for number in range(STORES):
        place = base() / f"user-{number}"
        place.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        _locks.append(lock)
        for path in (place, *place.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)
        return str(place)
    raise AssertionError(f"all {STORES} stores below {base()} are in use")
