"""Hosts of every habit, each in a process of its own, so that what the library does to it shows."""
import os
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "lib"
sys.path.insert(0, str(LIB))
import psbtest  # noqa: E402

PRELUDE = f"""
import ctypes, os, select, signal, sys, threading, time
sys.path.insert(0, {str(LIB)!r})
import psbcapi, psbtest
POLICY = '{{"imports":{{"mode":"off"}}}}'
def open_sandbox(**options):
    options.setdefault("pool_size", 3)
    return psbcapi.Sandbox(policy=POLICY, **options)
"""


@pytest.fixture(scope="session")
def engine():
    reason = psbtest.missing(psbtest.BEST)
    if reason:
        pytest.skip(reason)
    psbtest.become_subreaper()  # keepers of hosts that die land here


@pytest.fixture
def start_host(engine):
    """Starts a host that runs this code; nothing of it may be left behind."""
    traces = psbtest.Traces()
    started = []

    def start(code):
        process = psbtest.spawn([psbtest.PYTHON, "-c", PRELUDE + code], env={
            **os.environ, "PYSANDBOX": psbtest.command(), "PSB_TEST_UID": str(psbtest.USER_ID)})
        started.append(process)
        return process
    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    traces.check()


@pytest.fixture
def host(start_host):
    """Runs a host to its end: the lines it printed."""
    def run(code, timeout=60):
        process = start_host(code)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == 0, err.decode()
        return out.decode().splitlines()
    return run
