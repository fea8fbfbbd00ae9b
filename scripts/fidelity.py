"""Runs modules of CPython's own test suite outside (plain python3) and inside the microVM, and
tells which tests end differently. Needs the Debian package libpython3.11-testsuite.

    python3 scripts/fidelity.py [--command build/pysandbox] [--seconds 60] [MODULE ...]
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

# Modules about what is refused on purpose (other processes, sockets to anywhere, terminals), about
# the build tools, or about the suite itself are left out.
LEFT_OUT = re.compile(
    r"test_(asyncio|asyncore|asynchat|smtp|socket|ssl|ftplib|poplib|imaplib|nntplib|telnetlib|url|"
    r"http|xmlrpc|docxmlrpc|wsgiref|robotparser|subprocess|multiprocessing|concurrent|pty|tty|curses|"
    r"readline|tk|ttk|idle|turtle|lib2to3|distutils|ensurepip|venv|tools|peg|gdb|dtrace|audit|"
    r"ossaudiodev|winreg|winsound|msilib|wmi|launcher|zipfile64|bigmem|largefile|repl|cmd_line|"
    r"fork|wait|popen|posix$|spawn|support|regrtest|faulthandler|tracemalloc|pdb|pydoc|site|embed|"
    r"capi|unittest|importlib|import$|test_py_compile|compileall|runpy|startfile|nis|crypt|spwd|"
    r"devpoll|kqueue|dbm_ndbm|clinic|perf|cppext|doctest|sys$|signal|threading$|threadsignals|eintr|"
    r"interpreters|_xxsubinterpreters|check_c_globals|gc$|json$|email$)")

PROGRAM = r"""
import io, json, os, sys, unittest, warnings
warnings.simplefilter("ignore")
os.environ["TMPDIR"] = os.getcwd()
class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.rows = {}
    def note(self, test, verdict):
        self.rows[str(test)] = verdict
    def addSuccess(self, test): self.rows.setdefault(str(test), "ok")
    def addSkip(self, test, reason): self.note(test, "skip")
    def addExpectedFailure(self, test, error): self.note(test, "ok")
    def addUnexpectedSuccess(self, test): self.note(test, "ok")
    def addError(self, test, error): self.note(test, f"{error[0].__name__}: {error[1]}"[:200])
    addFailure = addError
    def addSubTest(self, test, subtest, error):
        if error: self.addError(test, error)
try:
    import test.support
    suite = unittest.defaultTestLoader.loadTestsFromName("test." + MODULE)
    rows = Result()
    suite.run(rows)
    result = rows.rows
except unittest.SkipTest as error:
    result = {"module": "skip"}
result = {re_: str(v) for re_, v in result.items()}
"""


def outside(module, seconds):
    tail = "\nsys.__stdout__.write('\\n@@' + json.dumps(result))"
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(["/usr/bin/python3", "-I", "-c", f"MODULE={module!r}" + PROGRAM + tail],
                             cwd=folder, capture_output=True, text=True, timeout=seconds,
                             errors="replace", stdin=subprocess.DEVNULL, check=False)
    return json.loads(run.stdout.rpartition("@@")[2] or '{"module": "died"}')


def inside(module, args, policy):
    code = f"MODULE={module!r}" + PROGRAM
    run = subprocess.run([args.command, "run", "--engine", "microvm", "--json", "--timeout",
                          str(args.seconds), "--memory", "1G", "--policy", policy, "-c", code],
                         capture_output=True, text=True, errors="replace", check=False)
    outcome = json.loads(run.stdout)
    if outcome["status"] != "ok":
        error = outcome.get("error") or {}
        return {"module": f"{outcome['status']}: {error.get('type')}: {error.get('message')}"[:300]}
    return outcome["result"]


def on_purpose(reason):
    """A test that needs another process, which no program in here gets, or skips itself for it."""
    return reason.startswith("BlockingIOError: [Errno 11]") or reason == "skip"


def compare(module, args, policy):
    try:
        expected = outside(module, args.seconds)
    except subprocess.TimeoutExpired:
        return None
    found = inside(module, args, policy)
    return len(expected), {name: found.get(name, found.get("module", "missing"))
                           for name, verdict in expected.items()
                           if verdict == "ok" and found.get(name) != "ok"}


def modules():
    names = sorted(name[:-3] for name in os.listdir("/usr/lib/python3.11/test")
                   if name.startswith("test_") and name.endswith(".py"))
    return [name for name in names if not LEFT_OUT.match(name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", default="build/pysandbox")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("modules", nargs="*")
    args = parser.parse_args()
    tests = same = differ = 0
    with tempfile.NamedTemporaryFile("w", suffix=".json") as policy:
        policy.write('{"imports": {"mode": "off"}}')
        policy.flush()
        for module in args.modules or modules():
            verdict = compare(module, args, policy.name)
            if verdict is None:
                print(f"{module}: too slow outside", flush=True)
                continue
            odd = {name: reason for name, reason in verdict[1].items() if not on_purpose(reason)}
            tests += verdict[0]
            same += not odd
            differ += bool(odd)
            print(f"{module}: {verdict[0]} tests, {len(verdict[1]) - len(odd)} need a process or "
                  f"skip, {len(odd)} differ", flush=True)
            for name, reason in odd.items():
                print(f"    {name}: {reason}", flush=True)
    print(f"{same} modules alike, {differ} with differences, {tests} tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
