"""What the suites must not leave behind: processes, mounts, cgroups, temporary files.

snapshot() before, compare() after. Tear-down may finish in the background, so compare() waits a
little before it believes what it sees.
"""

import os
import pathlib
import re
import time

PATIENCE_SECONDS = 10
OURS = re.compile(r"pysandbox|psb")


def read_link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def processes():
    """Ours by name, or living in a pid or user namespace other than ours."""
    found = {}
    mine = {kind: read_link(f"/proc/self/ns/{kind}") for kind in ("pid", "user")}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        started = stat.rsplit(")", 1)[1].split()[19]
        foreign = any(read_link(folder / "ns" / kind) not in ("", own)
                      for kind, own in mine.items())
        program = os.path.basename(read_link(folder / "exe"))
        if foreign or OURS.search(program):
            found[(folder.name, started)] = f"process {folder.name}: {words[:120]}"
    return found


def mounts():
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return {line: f"mount {line}" for line in lines}


def cgroups():
    folders = {}
    for path, _, _ in os.walk("/sys/fs/cgroup"):
        if OURS.search(path):
            folders[path] = f"cgroup {path}"
    return folders


def files():
    found = {}
    for folder in ("/tmp", "/dev/shm", "/run"):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if folder == "/dev/shm" or OURS.search(name):
                found[f"{folder}/{name}"] = f"file {folder}/{name}"
    return found


def snapshot():
    return {**processes(), **mounts(), **cgroups(), **files()}


def compare(before, private_folder):
    """Descriptions of what is new since `before`, and of what lies in the suites' own folder."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        new = [text for key, text in snapshot().items() if key not in before]
        new += [f"file {path}" for path in private_folder.iterdir()]
        if not new or time.monotonic() > deadline:
            return new
        time.sleep(0.2)
