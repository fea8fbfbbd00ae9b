"""Ordinary programs give the plain interpreter's answers: what is printed, `result`, how it ends."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import psbtest  # noqa: E402

PROGRAMS = sorted((HERE / "programs").glob("*.py"))
CONFIGS = psbtest.offered((psbtest.Config("self", None, "on"), psbtest.Config("user", "B", "on"),
                           psbtest.Config("root", "C", "on")))


@pytest.fixture(scope="session")
def answers(tmp_path_factory):
    """Plain Python's answers, made once per program."""
    place, known = tmp_path_factory.mktemp("oracle"), {}

    def ask(path):
        if path not in known:
            answer = place / (path.stem + ".json")
            plain = subprocess.run([psbtest.PYTHON, "-I", HERE / "oracle.py", path, answer], cwd=place,
                                   capture_output=True, timeout=60, check=False)
            plain.stdout, plain.stderr = plain.stdout.decode(), plain.stderr.decode()
            value = json.loads(answer.read_text()) if answer.exists() else None
            known[path] = plain, answer.exists(), value
        return known[path]
    return ask


@pytest.fixture(scope="session", params=CONFIGS, ids=str)
def config(request):
    reason = psbtest.missing(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


def unfolded(value):
    """Ints beyond 64 bits travel as text."""
    if isinstance(value, dict):
        if value.get("$type") == "int":
            return int(value["value"])
        return {key: unfolded(item) for key, item in value.items()}
    return [unfolded(item) for item in value] if isinstance(value, list) else value


def plain_status(plain):
    if plain.returncode == 0:
        return "ok"
    return "error" if "Traceback (most recent call last)" in plain.stderr else "exit"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(config, answers, path):
    plain, is_set, value = answers(path)
    run = psbtest.run(path.read_bytes(), config, timeout=10.0)
    assert run.stdout == plain.stdout, str(run)
    assert run.status == plain_status(plain), str(run)
    assert ("result" in run.outcome) == is_set, str(run)
    assert unfolded(run.result) == value, str(run)
    if run.status == "error":
        last = plain.stderr.strip().splitlines()[-1]
        assert run.error["traceback"].strip().splitlines()[-1] == last
        assert last.partition(":")[0] == run.error["type"]


def test_there_are_many_programs():
    assert len(PROGRAMS) >= 120


def test_programs_mean_what_they_say(answers):
    """A program that fails in plain Python is one of those that are meant to."""
    failing = {path.stem for path in PROGRAMS if answers(path)[0].returncode}
    assert failing == {"error_at_the_end", "exit_with_code"}
