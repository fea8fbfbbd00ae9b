"""A sample of the libraries' own tests, inside a machine and outside: `make fidelity` runs them all."""
import importlib.util
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import fidelity  # noqa: E402
import fidelity_pytest  # noqa: E402
import psbtest  # noqa: E402

SECONDS = 120
pytestmark = [
    pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="no access to /dev/kvm"),
    pytest.mark.skipif(not importlib.util.find_spec("hypothesis"), reason="no python3-hypothesis")]


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"imports": {"mode": "off"}}))
    return str(path)


@pytest.mark.parametrize("package, names, at_least", [
    ("numpy", ["fft/tests/test_pocketfft.py", "lib/tests/test_index_tricks.py"], 100),
    ("pandas", ["tests/util/test_hashing.py", "tests/io/parser/test_quoting.py"], 200)])
def test_a_library_passes_inside(package, names, at_least, policy):
    args = Namespace(command=psbtest.command(), seconds=SECONDS, memory="1G", package=package)
    paths = [fidelity_pytest.PACKAGES / package / name for name in names]
    verdicts = [fidelity_pytest.judge(*rows) for rows in fidelity_pytest.compare(paths, args, policy).values()]
    assert sum(passed for passed, _ in verdicts) >= at_least
    assert not [differing for _, differing in verdicts if differing]


@pytest.mark.skipif(not os.path.exists("/usr/lib/python3.11/test/test_struct.py"),
                    reason="no libpython3.11-testsuite")
@pytest.mark.parametrize("module", ["test_struct", "test_mmap", "test_zlib"])
def test_cpython_passes_inside(module, policy):
    args = Namespace(command=psbtest.command(), seconds=SECONDS)
    count, differing = fidelity.compare(module, args, policy)
    assert count >= 20
    assert not {name: reason for name, reason in differing.items() if not fidelity.on_purpose(reason)}
