"""Clocks, percentiles and looks into /proc for the figures."""

import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
EMPTY = {}
REFERENCE = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]


def spawn_ms(words, env=None):
    """Milliseconds from spawn to exit; a command that fails has no figure."""
    started = time.perf_counter()
    done = subprocess.run(words, env=EMPTY if env is None else env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    took = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.decode()}")
    return took * 1000


def alternate(count, *commands):
    """Spawns the commands in turn, `count` times each: one list of times for each command."""
    times = [[] for _ in commands]
    for words in commands:
        spawn_ms(words)
    for _ in range(count):
        for taken, words in zip(times, commands):
            taken.append(spawn_ms(words))
    return times


def p99(values):
    return sorted(values)[(len(values) - 1) * 99 // 100]


def median(values):
    return statistics.median(values)


def call_json(words):
    done = subprocess.run(words, env=EMPTY, stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def run_plain(program):
    """The `result` of a program that plain python3 runs."""
    code = ("import json, runpy, sys; "
            "print(json.dumps(runpy.run_path(sys.argv[1])['result']))")
    return call_json(["/usr/bin/python3", "-I", "-c", code, str(program)])


def status_field(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].split()
    return []


def inherit_orphans():
    """Makes this process the parent of what the command's keeper leaves, so that it can be seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants():
    """Living processes below this one; other users of the machine do not count."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = pathlib.Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(name)] = int(fields[1])
    found, grew = {os.getpid()}, True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return found - {os.getpid()}


def ready_instances():
    """Processes in the innermost of the pid namespaces below, their inits left out."""
    found = {}
    for pid in descendants():
        try:
            found[pid] = status_field(pid, "NSpid")
        except OSError:
            continue
    deepest = max(map(len, found.values()), default=0)
    return [pid for pid, inner in found.items()
            if deepest > 1 and len(inner) == deepest and inner[-1] != "1"]


def private_kib(pid):
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_"):
            total += int(line.split()[1])
    return total


def totals():
    """Processes, descriptors, proportional memory of what is below; mounts of the host."""
    processes = descriptors = memory = 0
    for pid in descendants():
        try:
            fds = len(os.listdir(f"/proc/{pid}/fd"))
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        processes += 1
        descriptors += fds
        memory += sum(int(line.split()[1]) for line in rollup.splitlines()
                      if line.startswith("Pss:"))
    mounts = len(pathlib.Path("/proc/self/mountinfo").read_text().splitlines())
    return {"processes": processes, "descriptors": descriptors, "pss_kib": memory,
            "mounts": mounts}


def machine():
    model = next((line.split(":", 1)[1].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    uname = os.uname()
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} processors, Linux {uname.release}, load {load:.1f}"
