"""Runs the test suites, collects their counts and prints one line for each.

Every runner leaves JUnit XML; a runner that leaves none (it did not build, it died) counts as one
failure. A few failures of the Python suites, which judge by clocks on machines that others use too,
get a second try by themselves; what passes only then is printed as unstable. The counts go to BUILD/results/*.json, where .ci/run adds those of lint.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import leftovers

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import psbcache  # noqa: E402

PYTEST_FOLDERS = ["tests/e2e", "tests/escape", "tests/exhaust", "tests/async"]
SECOND_TRY_MOST = 20


class Results:
    def __init__(self, folder):
        self.folder = folder
        self.rows = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name, passed, failed, skipped, seconds):
        row = {"suite": name, "passed": passed, "failed": failed, "skipped": skipped}
        (self.folder / f"{name}.json").write_text(json.dumps(row))
        self.rows.append((row, seconds))

    def show(self):
        print(f"\n{'suite':<16}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
        for row, seconds in self.rows:
            print(f"{row['suite']:<16}{row['passed']:>8}{row['failed']:>8}"
                  f"{row['skipped']:>9}{seconds:>9.0f}")
        return 1 if any(row["failed"] for row, _ in self.rows) else 0


def junit_counts(path):
    """passed, failed, skipped of a JUnit file; None when it is missing or broken."""
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return None
    failed = sum(1 for case in cases
                 if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return len(cases) - failed - skipped, failed, skipped


def run_suite(results, name, commands, junit, env=None):
    """Runs the commands in turn; the first that fails ends the suite."""
    started = time.monotonic()
    junit.unlink(missing_ok=True)
    code = 0
    for command in commands:
        print(f"\n== {name}: {' '.join(map(str, command))}", flush=True)
        code = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL).returncode
        if code:
            break
    passed, failed, skipped = junit_counts(junit) or (0, 0, 0)
    if code and not failed:
        failed = 1
    results.add(name, passed, failed, skipped, time.monotonic() - started)


def meson_commands(folder, options, suites, compiler=None):
    setup = ["meson", "setup", folder, *options]
    if compiler:
        setup = ["env", f"CC={compiler}", *setup]
    commands = [] if (folder / "build.ninja").exists() else [setup]
    chosen = [word for suite in suites for word in ("--suite", suite)]
    return commands + [["ninja", "-C", folder],
                       ["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs",
                        *chosen]]


def run_meson(results, name, folder, options=(), suites=(), compiler=None, env=None):
    run_suite(results, name, meson_commands(folder, options, suites, compiler),
              folder / "meson-logs" / "testlog.junit.xml", env)


def failed_names(path):
    cases = ElementTree.parse(path).iter("testcase")
    return [f"{case.get('classname')}.{case.get('name')}" for case in cases
            if case.find("failure") is not None or case.find("error") is not None]


def second_try(results, name, command, junit, env):
    """Runs the failed tests of a suite again, alone; their new counts replace the old ones."""
    row, seconds = results.rows[-1]
    if not 0 < row["failed"] <= SECOND_TRY_MOST or not junit.exists():
        return
    first = failed_names(junit)
    results.rows.pop()
    run_suite(results, name, [[*command, "--last-failed"]], junit, env)
    again, more_seconds = results.rows.pop()
    for test in sorted(set(first) - set(failed_names(junit) if junit.exists() else first)):
        print(f"unstable, passed on the second try: {test}")
    results.add(name, row["passed"] + again["passed"], again["failed"],
                row["skipped"] + again["skipped"], seconds + more_seconds)


def run_pytest(results, build, env, engine="native"):
    """The suites on one engine: they are named after it, but for those on native."""
    for folder in PYTEST_FOLDERS:
        if not list((ROOT / folder).glob("test_*.py")):
            continue
        name = folder.rsplit("/", maxsplit=1)[-1] + ("" if engine == "native" else f"-{engine}")
        if engine == "microvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            print(f"\n== {name}: skipped: no /dev/kvm", flush=True)
            results.add(name, 0, 0, 1, 0)
            continue
        env = {**env, "PSB_TEST_ENGINE": engine}
        junit = results.folder / f"{name}.xml"
        base = build / "tmp" / name
        command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={results.folder}/.cache-{name}",
                   f"--basetemp={base}", f"--junitxml={junit}", "-o", "junit_family=xunit2",
                   folder]
        run_suite(results, name, [command], junit, env)
        second_try(results, name, command, junit, env)
        shutil.rmtree(base, ignore_errors=True)


def suite_env(build):
    """Temporary files go below the build folder, so that what is left behind can be seen."""
    folder = build / "tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o1777)
    return {**os.environ, "TMPDIR": str(folder), "PYSANDBOX": str(build / "pysandbox"),
            "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": psbcache.own()}


def sanitizer_env(env):
    return {**env, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}


def check_leftovers(results, before, folder):
    started = time.monotonic()
    found = leftovers.compare(before, folder)
    for line in found:
        print(f"left behind: {line}")
    results.add("leftovers", 0 if found else 1, 1 if found else 0, 0, time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("what", choices=["all", "meson", "sanitized", "threads", "clang", "python",
                                         "microvm"])
    args = parser.parse_args()
    build = (ROOT / args.build).resolve()
    results = Results(build / "results")
    env = suite_env(build)
    before = leftovers.snapshot()

    if args.what in ("all", "meson"):
        run_meson(results, "meson-gcc", build, env=env)
    if args.what in ("all", "sanitized"):
        run_meson(results, "meson-asan", build.with_name(build.name + "-asan"),
                  ["-Db_sanitize=address,undefined", "-Dbuildtype=debugoptimized",
                   "-Db_lundef=false"], ["unit", "fuzz"], env=sanitizer_env(env))
    if args.what in ("all", "threads"):
        run_meson(results, "meson-tsan", build.with_name(build.name + "-tsan"),
                  ["-Db_sanitize=thread", "-Dbuildtype=debugoptimized", "-Db_lundef=false"],
                  ["threads"], env=sanitizer_env(env))
    if args.what in ("all", "clang"):
        run_meson(results, "meson-clang", build.with_name(build.name + "-clang"),
                  ["-Dwerror=true"], ["unit", "fuzz"], "clang", env=env)
    if args.what in ("all", "python"):
        run_pytest(results, build, env)
    if args.what in ("all", "microvm"):
        run_pytest(results, build, env, "microvm")
    check_leftovers(results, before, build / "tmp")
    return results.show()


if __name__ == "__main__":
    sys.exit(main())
