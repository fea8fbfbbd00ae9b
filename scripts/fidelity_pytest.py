"""Runs numpy's or pandas' own tests outside (plain python3) and inside the microVM, file by file, and
tells which tests pass outside only. Needs the Debian packages of scripts/packages.txt, group
fidelity. A FILE is a path below the package, such as core/tests/test_numeric.py.

    python3 scripts/fidelity_pytest.py numpy|pandas [--command build/pysandbox] [--sample N] [FILE ...]
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = Path("/usr/lib/python3/dist-packages")
# Failing here is what a machine is for: no other process, no network, no compiler.
ON_PURPOSE = re.compile(r"BlockingIOError|Errno 11\b|URLError|PermissionError: \[Errno 1\]")
# About compilers, type checkers and packers, which an image does not hold.
LEFT_OUT = re.compile(r"/(distutils|f2py|_pyinstaller)/|test_(cython|limited_api|mem_policy|extending|typing)\.py")
# A pytest node's name can hold the address of an object.
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")

# PLACES is the list of test files; the guest's stderr is not what is compared.
PROGRAM = r"""
import os, re, sys
os.environ["TMPDIR"] = os.getcwd()
os.environ["HOME"] = os.getcwd()
sys.dont_write_bytecode = True
import pytest
class Rows:
    def __init__(self):
        self.rows = {}
    def pytest_runtest_logreport(self, report):
        known = self.rows.get(report.nodeid, "passed")
        if report.outcome == "failed":
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash else str(report.longrepr)
            self.rows[report.nodeid] = "failed: " + text.strip()[:300]
        elif known == "passed":
            self.rows[report.nodeid] = report.outcome
    def pytest_collectreport(self, report):
        if report.outcome != "passed":
            self.rows[report.nodeid] = report.outcome + ": " + str(report.longrepr)[-300:]
rows = Rows()
pytest.main(["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler", "-c", "/dev/null",
             "--continue-on-collection-errors", "--rootdir=/usr/lib/python3/dist-packages", *PLACES],
            plugins=[rows])
result = {name.encode("ascii", "backslashreplace").decode(): text.encode("ascii", "backslashreplace").decode()
          for name, text in rows.rows.items()}
"""


def outside(code, seconds):
    tail = "\nimport json; open('rows.json', 'w').write(json.dumps(result))"
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(["/usr/bin/python3", "-I", "-c", code + tail], cwd=folder, timeout=seconds,
                           stdin=subprocess.DEVNULL, capture_output=True, check=False)
            return json.loads((Path(folder) / "rows.json").read_text())
        except (subprocess.TimeoutExpired, OSError) as error:
            return {"file": type(error).__name__}


def inside(code, args, policy):
    words = ["--timeout", args.seconds, "--memory", args.memory, "--workspace", "512M", "--processes",
             "256", "--result-limit", "256M", "--on-output-limit", "truncate", "--policy", policy,
             "--preload", args.package]
    run = subprocess.run([args.command, "run", "--engine", "microvm", "--json", *map(str, words), "-c", code],
                         capture_output=True, text=True, errors="replace", check=False)
    if not run.stdout:
        return {"file": f"no outcome: {run.stderr.strip()[-300:]}"}
    outcome = json.loads(run.stdout)
    if outcome["status"] != "ok":
        error = outcome.get("error") or {}
        return {"file": f"{outcome['status']}: {error.get('type')}: {error.get('message')}"[:300]}
    return outcome["result"]


def named(rows):
    """Without addresses, which differ from run to run, and with a count where names then agree."""
    found = {}
    for name, verdict in rows.items():
        plain = ADDRESS.sub("0x", name)
        found[plain if plain not in found else f"{plain} #{len(found)}"] = verdict
    return found


def by_file(rows, paths):
    """The rows of each file; a run that ended badly counts against all of its files."""
    found = {path: {} for path in paths}
    names = {str(path.relative_to(PACKAGES)): path for path in paths}
    for name, verdict in named(rows).items():
        for path in paths if name == "file" else [names.get(name.partition("::")[0])]:
            found.setdefault(path, {})[name] = verdict
    return found


def compare(paths, args, policy):
    """Several files in one run save the time of importing; if that ends badly, each for itself."""
    code = f"PLACES = {[str(path) for path in paths]!r}\n" + PROGRAM
    expected, found = outside(code, args.seconds), inside(code, args, policy)
    if len(paths) > 1 and ("file" in expected or "file" in found):
        return {path: row for one in paths for path, row in compare([one], args, policy).items()}
    expected, found = by_file(expected, paths), by_file(found, paths)
    return {path: (expected[path], found[path]) for path in paths}


def judge(expected, found):
    """How many pass outside, and those of them that do not inside."""
    if "file" in expected:
        return 0, {"file": "outside: " + expected["file"]}
    passed = [name for name, verdict in expected.items() if verdict == "passed"]
    return len(passed), {
        name: found.get(name) or found.get("file") or found.get(name.partition("::")[0], "missing")
        for name in passed if found.get(name) != "passed"}


def groups(paths, most):
    """Neighbours of one directory, `most` at a time."""
    found = []
    for path in paths:
        if not found or len(found[-1]) == most or found[-1][0].parent != path.parent:
            found.append([])
        found[-1].append(path)
    return found


def chosen(args):
    base = PACKAGES / args.package
    if args.files:
        return [base / name for name in args.files]
    paths = sorted(path for path in base.rglob("test_*.py") if not LEFT_OUT.search(str(path)))
    return sorted(random.Random(0).sample(paths, min(args.sample, len(paths)))) if args.sample else paths


def report(path, passed, differing):
    odd = {name: reason for name, reason in differing.items() if not ON_PURPOSE.search(reason)}
    print(f"{path.relative_to(PACKAGES)}: {passed} pass outside, {len(differing) - len(odd)} are refused on "
          f"purpose, {len(odd)} differ", flush=True)
    for name, reason in list(odd.items())[:10]:
        print(f"    {name.rpartition('::')[2]}: " + reason.replace("\n", " ")[:300], flush=True)
    return odd


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", choices=["numpy", "pandas"])
    parser.add_argument("--command", default="build/pysandbox")
    parser.add_argument("--seconds", type=int, default=900)
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--sample", type=int, default=0, help="this many files, always the same ones")
    parser.add_argument("--group", type=int, default=8, help="this many files in one run")
    parser.add_argument("files", nargs="*")
    args = parser.parse_intermixed_args()
    tests = files = odd_files = 0
    with tempfile.NamedTemporaryFile("w", suffix=".json") as policy:
        policy.write('{"imports": {"mode": "off"}}')
        policy.flush()
        for paths in groups(chosen(args), args.group):
            for path, rows in compare(paths, args, policy.name).items():
                passed, differing = judge(*rows)
                tests += passed
                files += 1
                odd_files += bool(report(path, passed, differing))
    print(f"{args.package}: {files} files, {tests} tests that pass outside; {odd_files} files differ")
    return 1 if odd_files else 0


if __name__ == "__main__":
    sys.exit(main())
