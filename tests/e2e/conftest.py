"""What the end-to-end tests share: the command, and a way to call it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import psbcache  # noqa: E402
import psbtest  # noqa: E402

COMMAND = os.environ.get("PYSANDBOX", str(ROOT / "build" / "pysandbox"))
CALL_SECONDS = 60


# What these are about is the same on every engine, or they name the engines themselves.
if psbtest.ENGINE != "native":
    collect_ignore = [f"test_{name}.py" for name in (
        "audit", "comparison", "completion", "doctor", "image", "metrics", "microvm_kernel",
        "microvm_libraries", "microvm_walls",
        "policy", "readme", "security_doc")]
os.environ["XDG_CACHE_HOME"] = psbcache.own()


def engine_words(words):
    """`run` runs on the suite's engine, where a test names none."""
    words = [*map(str, words)]
    if words[:1] == ["run"] and "--engine" not in words:
        words[1:1] = ["--engine", psbtest.ENGINE]
    return words


class Finished:
    """An ended command: its exit code and what it wrote."""

    def __init__(self, process):
        self.code = process.returncode
        self.stdout = process.stdout.decode()
        self.stderr = process.stderr.decode()

    @property
    def outcome(self):
        """The one JSON object on stdout; anything else there is an error."""
        value = json.loads(self.stdout)
        assert isinstance(value, dict)
        return value

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.stdout!r}\nstderr: {self.stderr!r}"


class Command:
    path = COMMAND

    def __call__(self, *words, stdin=b"", timeout=CALL_SECONDS, **kwargs):
        process = subprocess.run([COMMAND, *engine_words(words)], input=stdin, capture_output=True,
                                 timeout=timeout, check=False, **kwargs)
        return Finished(process)

    def run(self, code, *words, **kwargs):
        """pysandbox run --json with the source on stdin: the outcome."""
        data = code if isinstance(code, bytes) else code.encode()
        done = self("run", "--json", *words, "-", stdin=data, **kwargs)
        assert done.stdout, done
        outcome = done.outcome
        outcome["command_exit_code"] = done.code
        return outcome

    def start(self, *words, **kwargs):
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([COMMAND, *engine_words(words)], **kwargs)


@pytest.fixture(scope="session")
def pysandbox():
    assert os.access(COMMAND, os.X_OK), f"{COMMAND} is not there: make build, or set PYSANDBOX"
    if psbtest.may_use_kvm(psbtest.BEST):
        psbtest.build_image(psbtest.BEST)  # else the first `run` of all would, and say so
    return Command()
