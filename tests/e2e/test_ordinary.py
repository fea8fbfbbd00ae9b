"""Ordinary programs print what plain Python prints, on both streams, to the byte.

A program begins with a line "### name" in one of the files of ordinary/. Both interpreters find it
as main.py in their current directory; only addresses of objects may differ.
"""
import concurrent.futures
import re
import subprocess
import tempfile
from pathlib import Path

import endings
import psbtest
import pytest

TABLES = sorted((Path(__file__).resolve().parent / "ordinary").glob("*.txt"))
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
EXIT_CODES = {"ok": 0, "error": 1}


def programs(path):
    parts = ("\n" + path.read_text()).split("\n### ")[1:]
    return dict(part.partition("\n")[::2] for part in parts)


def plain(code):
    """(exit code, stdout, stderr) of the interpreter itself."""
    with tempfile.TemporaryDirectory() as place:
        main = Path(place) / "main.py"
        main.write_text(code)
        # What a shell starts in the background ignores SIGINT; a guest never does.
        done = subprocess.run(["/usr/bin/env", "--default-signal=INT", psbtest.PYTHON, "-B", main.name], cwd=place,
                              stdin=subprocess.DEVNULL, timeout=60, env=psbtest.environment({"HOME": place}),
                              capture_output=True, check=False)
        return done.returncode, *(text.decode().replace(str(main), "main.py") for text in (done.stdout, done.stderr))


def caged(code, config):
    """The same of the outcome."""
    with tempfile.TemporaryDirectory(dir=psbtest.session_dir()) as place:
        Path(place).chmod(0o755)
        (Path(place) / "main.py").write_text(code)
        argv = [*psbtest.arguments(code, config, timeout=20.0)[:-1], f"{place}/main.py"]
        process = psbtest.spawn(argv, config, env=psbtest.environment(None, config))
        outcome = psbtest.parse_outcome(process.communicate(timeout=60)[0])
    code = outcome["exit_code"] if outcome["status"] == "exit" else EXIT_CODES.get(outcome["status"], outcome["status"])
    return code, outcome["stdout"], outcome["stderr"]


def comparable(ending):
    return tuple(ADDRESS.sub("0x", part) if isinstance(part, str) else part for part in ending)


@pytest.mark.parametrize("config", psbtest.offered((psbtest.Config("self", None, "on"), psbtest.Config("user", "B", "on"))), ids=str)
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_as_outside(path, config):
    endings.require(config)

    def differs(item):
        name, code = item
        inside, outside = comparable(caged(code, config)), comparable(plain(code))
        return "" if inside == outside else f"{name}:\n  inside:  {inside}\n  outside: {outside}"
    with concurrent.futures.ThreadPoolExecutor(endings.AT_ONCE) as pool:
        found = [text for text in pool.map(differs, programs(path).items()) if text]
    assert not found, f"{len(found)} differ\n" + "\n".join(found)


def test_there_are_many():
    assert sum(len(programs(path)) for path in TABLES) >= 150
