"""docs/security.md names tests that exist: every id of its table is one that pytest collects."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

TEXT = (psbtest.ROOT / "docs" / "security.md").read_text()
IDS = sorted(set(re.findall(r"`(tests/[^`]+)`", TEXT)))


@pytest.fixture(scope="session")
def collected():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
         "tests/escape", "tests/exhaust", "tests/e2e"], cwd=psbtest.ROOT, capture_output=True,
        text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return set(done.stdout.splitlines())


def names(collected_id):
    """path::function and, for each parameter alone, path::function[parameter]."""
    plain, _, parameters = collected_id.partition("[")
    found = {plain}
    parts = parameters.rstrip("]").split("-")
    for start in range(len(parts)):
        found |= {f"{plain}[{'-'.join(parts[start:end])}]" for end in range(start + 1, len(parts) + 1)}
    return found


def test_every_id_exists(collected):
    known = set().union(*map(names, collected))
    wrong = [name for name in IDS if "::" in name and name not in known]
    assert not wrong, wrong
    missing = [name for name in IDS if "::" not in name and not (psbtest.ROOT / name).exists()]
    assert not missing, missing


def test_every_row_has_a_test():
    table = TEXT.partition("| threat | control | tests |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) >= 25
    assert not [row for row in table if not re.search(r"`tests/\S+::\S+`|`tests/\S+\.c`", row)]


def test_every_escape_module_is_named():
    for path in sorted((psbtest.ROOT / "tests" / "escape").glob("test_*.py")):
        assert f"tests/escape/{path.name}::" in TEXT, path.name
