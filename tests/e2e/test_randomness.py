"""No two executions share randomness, whatever was imported, and used, before they began."""
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402
import psbtest  # noqa: E402

OFF = psbtest.Config("self", None, "off")
SOURCES = {
    "random": ("random", "import random\nresult = random.getrandbits(64)"),
    "system_random": ("random", "import random\nresult = random.SystemRandom().getrandbits(64)"),
    "secrets": ("secrets", "import secrets\nresult = secrets.token_hex(16)"),
    "urandom": ("os", "import os\nresult = os.urandom(16).hex()"),
    "uuid4": ("uuid", "import uuid\nresult = str(uuid.uuid4())"),
    "uuid1": ("uuid", "import uuid\nresult = str(uuid.uuid1())"),
    "uuid1_clock_sequence": ("uuid", "import uuid\nu = uuid.uuid1()\nresult = [u.clock_seq, u.node, u.time]"),
    "tempfile": ("tempfile", "import tempfile\nresult = tempfile.mktemp()"),
    "ssl": ("ssl", "import ssl\nresult = ssl.RAND_bytes(16).hex()"),
    "hashlib_scrypt_salt": ("hashlib,os", "import os, hashlib\nresult = hashlib.sha256(os.urandom(8)).hexdigest()"),
    "numpy_global": ("numpy", "import numpy\nresult = numpy.random.random()"),
    "numpy_default": ("numpy", "import numpy\nresult = numpy.random.default_rng().random()"),
    "numpy_legacy": ("numpy", "import numpy\nresult = int(numpy.random.randint(1 << 60))"),
}


@pytest.fixture(scope="session", autouse=True)
def built():
    reason = psbtest.missing(OFF)
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("name", SOURCES)
def test_commands_differ(name):
    modules, code = SOURCES[name]
    if "numpy" in modules:
        pytest.importorskip("numpy")
    values = [psbtest.run(code, OFF, timeout=30.0, args=["--preload", modules]) for _ in range(3)]
    assert all(value.status == "ok" for value in values), str(values[0])
    assert len({str(value.result) for value in values}) == 3, [value.result for value in values]


@pytest.mark.parametrize("name", SOURCES)
def test_children_of_one_template_differ(name):
    """The hard case: all instances are forks of one process that has the module loaded and used."""
    modules, code = SOURCES[name]
    if "numpy" in modules:
        pytest.importorskip("numpy")
    with psbcapi.Sandbox(policy='{"imports":{"mode":"off"}}', preload=modules, pool_size=4) as sandbox:
        values = [sandbox.execute(code) for _ in range(8)]
    assert all(value["status"] == "ok" for value in values), values[0]
    assert len({str(value["result"]) for value in values}) == 8, [v["result"] for v in values]


DRAWN = """
import random, secrets, ssl, tempfile, uuid
def draw():
    return [random.random(), secrets.token_hex(), ssl.RAND_bytes(8).hex(), str(uuid.uuid1()),
            str(uuid.uuid4()), tempfile.mktemp(), uuid.uuid1().clock_seq]
drawn = [draw() for _ in range(3)]
"""


def test_used_before_the_fork():
    """A module that draws from every generator while the template loads."""
    place = psbtest.session_dir() / "venv"
    subprocess.run([psbtest.PYTHON, "-m", "venv", "--without-pip", place], check=True, timeout=60)
    site = next(place.glob("lib/python*/site-packages"))
    (site / "drawn.py").write_text(DRAWN)
    with psbcapi.Sandbox(policy='{"imports":{"mode":"off"}}', preload="drawn", pool_size=4,
                         python=str(place / "bin" / "python3")) as sandbox:
        values = [sandbox.execute("import drawn\nresult = [drawn.draw(), drawn.drawn]") for _ in range(8)]
    assert all(value["status"] == "ok" for value in values), values[0]
    assert len({str(value["result"][1]) for value in values}) == 1, "not one template"
    for column in zip(*(value["result"][0][:6] for value in values)):
        assert len(set(column)) == 8, column
