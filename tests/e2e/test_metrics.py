"""Prometheus text, read by a parser that refuses what the exposition format forbids."""

import ctypes
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbcapi  # noqa: E402

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})\{{((?:{LABEL},?)*)\}} ([0-9.]+)")


def parse(text):
    """{family: (type, {sample: {labels: value}})}; asserts the format on the way."""
    assert text.endswith("\n")
    families, current, helped = {}, None, None
    for line in text[:-1].split("\n"):
        if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
            helped = match.group(1)
            assert helped not in families
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line):
            current = match.group(1)
            assert current == helped
            families[current] = (match.group(2), {})
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert match.group(1) in [current + suffix for suffix in suffixes]
            labels = tuple((k, v) for k, v in re.findall(LABEL, match.group(2)))
            assert len(set(k for k, _ in labels)) == len(labels)
            named = samples.setdefault(match.group(1), {})
            assert labels not in named
            named[labels] = float(match.group(match.lastindex))
    for name, (kind, samples) in families.items():
        assert (kind == "counter") == name.endswith("_total"), name
        if kind == "histogram":
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    series = {}
    for labels, value in samples[f"{name}_bucket"].items():
        bounds = [v for k, v in labels if k == "le"]
        rest = tuple((k, v) for k, v in labels if k != "le")
        series.setdefault(rest, []).append((float(bounds[0]), value))
    for rest, buckets in series.items():
        assert [b for b, _ in buckets] == sorted(b for b, _ in buckets)
        assert buckets[-1][0] == float("inf")
        assert all(a <= b for (_, a), (_, b) in zip(buckets, buckets[1:]))
        assert buckets[-1][1] == samples[f"{name}_count"][rest]
        assert rest in samples[f"{name}_sum"]


def metrics(*sandboxes):
    library = psbcapi.library()
    handles = (ctypes.c_void_p * len(sandboxes))(*[s.handle for s in sandboxes])
    needed, error = ctypes.c_size_t(), psbcapi.Error()
    library.psb_metrics(handles, ctypes.c_size_t(len(sandboxes)), None, ctypes.c_size_t(0),
                        ctypes.byref(needed), None)
    text = ctypes.create_string_buffer(needed.value)
    psbcapi.Sandbox.check(library.psb_metrics(handles, ctypes.c_size_t(len(sandboxes)), text,
                                              needed, None, ctypes.byref(error)), error)
    return text.value.decode()


def value(families, name, **labels):
    _, samples = families[name]
    found = [v for key, v in samples[name].items()
             if all(dict(key).get(k) == str(w) for k, w in labels.items())]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_the_parser_refuses_what_is_wrong():
    good = "# HELP a_total x\n# TYPE a_total counter\na_total{k=\"v\"} 1\n"
    assert parse(good)
    for bad in (good[:-1], good.replace("# TYPE a_total counter\n", ""), good + good,
                good.replace("a_total{", "b_total{"), good.replace('"v"', '"v"w"'),
                good.replace("counter", "gauge"), good + "a_total{k=\"v\"} 2\n"):
        with pytest.raises((AssertionError, KeyError)):
            parse(bad)


def test_the_command_probes_each_engine(pysandbox):
    done = pysandbox("engines", "--metrics")
    assert done.code == 0 and done.stderr == ""
    families = parse(done.stdout)
    assert value(families, "pysandbox_host_engine_available", engine="native") == 1
    assert value(families, "pysandbox_executions_total", status="ok",
                 tenant="probe-native") == 1
    assert pysandbox("engines", "--metrics", "--json").code == 2


def test_runs_are_counted_where_they_belong():
    with psbcapi.Sandbox(tenant="one", limits={"wall_ms": 200}) as one, \
            psbcapi.Sandbox(tenant='t"w\\o') as two:
        for _ in range(4):
            one.execute("result = 1")
        one.execute("import time; time.sleep(9)")
        two.execute("import socket")
        with pytest.raises(psbcapi.CallFailed):
            two.execute("1", inputs=[1])
        families = parse(metrics(one, two))
    assert value(families, "pysandbox_executions_total", sandbox=0, status="ok") == 4
    assert value(families, "pysandbox_executions_total", sandbox=0, status="timeout") == 1
    assert value(families, "pysandbox_executions_total", sandbox=1, status="error") == 1
    assert value(families, "pysandbox_denied_total", sandbox=1, kind="import") == 1
    assert value(families, "pysandbox_refused_calls_total", sandbox=1, error="PSB_E_INVALID",
                 tenant='t\\"w\\\\o') == 1
    _, wall = families["pysandbox_wall_seconds"]
    slow = [v for k, v in wall["pysandbox_wall_seconds_bucket"].items()
            if dict(k)["sandbox"] == "0" and dict(k)["le"] == "0.100000"]
    assert slow == [4]
    assert sum(v for k, v in wall["pysandbox_wall_seconds_sum"].items()
               if dict(k)["sandbox"] == "0") >= 0.2
