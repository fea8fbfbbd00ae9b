"""Every way a program can end, and every way it can try not to: the tables of endings/."""
from pathlib import Path

import endings
import psbtest
import pytest

TABLES = sorted((Path(__file__).resolve().parent / "endings").glob("*.txt"))
WITH_LISTS = {"imports"}


@pytest.mark.parametrize("config", endings.CONFIGS, ids=str)
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table(path, config):
    if path.stem in WITH_LISTS:
        config = psbtest.Config(config.user, config.rung, "on")
    endings.check(config, endings.table(path))


def test_there_are_many():
    assert len(TABLES) >= 7 and sum(len(endings.table(path)) for path in TABLES) >= 300
