"""The audit log through the command: what is recorded, by the published schema; the chain, checked by
a verifier of our own as docs/audit.md describes it; what `audit verify` finds; kill -9."""

import hashlib
import hmac
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/audit.schema.json").read_text()))
KEY = bytes(range(32))
GENESIS = "0" * 64


def seal(text, key):
    return (hmac.new(key, text, "sha256") if key else hashlib.sha256(text)).hexdigest()


def check_chain(data, key=None, prev=GENESIS, seq=0):
    """The whole rule of the chain, in Python. Returns the records."""
    records = []
    for line in data.splitlines():
        if line.endswith(b" ~torn"):
            continue
        record = json.loads(line)
        body, _, end = line.rpartition(b',"hash":"')
        assert end.decode() == seal(body, key) + '"}'
        seq += 1
        assert (record["prev"], record["seq"]) == (prev, seq)
        prev = record["hash"]
        records.append(record)
    return records


def read(log, key=None):
    records = check_chain(log.read_bytes(), key)
    for record in records:
        SCHEMA.validate(record)
    assert records[0]["event"] == "begin"
    return records


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


def verify(pysandbox, *words):
    done = pysandbox("audit", "verify", "--json", *words)
    report = json.loads(done.stdout)
    assert done.code == (1 if report["fault_count"] else 0), done
    return report


# What is recorded


def test_a_run_has_two_records_with_the_outcome_s_facts(pysandbox, log):
    code = "import time\ntime.sleep(0.02)\nprint('x' * 10)\nresult = [1, 2]"
    outcome = pysandbox.run(code, "--audit", log, "--tag", "job 7", "--memory", "64M",
                            "--input", '{"a": 1}')
    begin, accepted, ended = read(log)
    assert begin["chain"] == "sha256" and begin["key_id"] is None
    assert accepted["event"] == "accepted" and ended["event"] == "ended"
    assert accepted["id"] == ended["id"] == outcome["id"]
    assert accepted["tag"] == ended["tag"] == "job 7"
    assert accepted["code"] == {"sha256": hashlib.sha256(code.encode()).hexdigest(),
                                "bytes": len(code)}
    assert accepted["limits"]["memory_bytes"] == 64 << 20 and accepted["inputs_bytes"] == 8
    for name in ("name", "level", "rung", "python", "controls"):
        assert accepted["engine"][name] == outcome["engine"][name]
    assert accepted["policy"]["sha256"] == outcome["engine"]["policy_sha256"]
    assert ended["status"] == "ok" and ended["engine"] == outcome["engine"]["name"]
    assert ended["usage"]["wall_ms"] == outcome["usage"]["wall_ms"] >= 20
    assert ended["usage"]["stdout_bytes"] == 11 and ended["usage"]["result_bytes"] == 5
    assert accepted["time"] < ended["time"] and accepted["uid"] == os.geteuid()


@pytest.mark.parametrize("code, words, status", [
    ("1/0", [], "error"),
    ("import sys; sys.exit(3)", [], "exit"),
    ("import time; time.sleep(60)", ["--timeout", "0.2"], "timeout"),
    ("print('x' * 10**6)", ["--stdout-limit", "1k"], "output_limit"),
    ("result = 'x' * 10**6", ["--result-limit", "1k"], "result_limit"),
    ("import os; os.abort()", [], "crash"),
    ("1", ["--require", "10"], "unavailable"),
])
def test_every_end_is_recorded(pysandbox, log, code, words, status):
    outcome = pysandbox.run(code, "--audit", log, *words)
    records = read(log)
    assert outcome["status"] == records[-1]["status"] == status
    assert records[-1]["limit"] == outcome["limit"]
    assert [r["event"] for r in records[1:]] == (
        ["ended"] if status == "unavailable" else ["accepted", "ended"])
    assert ("exit_code" in records[-1]) == (status == "exit")
    assert ("signal" in records[-1]) == (status == "crash")


def test_denied_imports_and_calls_are_recorded(pysandbox, log):
    pysandbox.run("try:\n import socket\nexcept ImportError: pass\nimport subprocess", "--audit", log)
    assert read(log)[-1]["denied"] == [{"kind": "import", "name": "socket"},
                                       {"kind": "import", "name": "subprocess"}]


@pytest.mark.parametrize("words", [
    ["--input", "[1]", "-c", "1"], ["--policy", "no-such", "-c", "1"],
    ["--policy", "/dev/null", "-c", "1"],
    ["--file", "a=/nonexistent", "-c", "1"], ["--memory", "1k", "-c", "1"],
])
def test_refused_calls_are_recorded(pysandbox, log, words):
    done = pysandbox("run", "--audit", log, *words)
    assert done.code == 2
    if words[1] == "/dev/null":
        assert not log.exists()  # the command refused it; the library was never called
        return
    record = read(log)[-1]
    assert record["event"] == "refused" and record["error"]["message"] in done.stderr


def test_the_text_of_a_guest_is_cut_and_escaped(pysandbox, log):
    code = "raise ValueError('\\x1b[2J\\u202e\\u0085\\n' + 'A' * 5000)"
    pysandbox.run(code, "--audit", log, "--audit-code")
    data = log.read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in data)
    records = read(log)
    assert records[1]["code"]["text"] == code and records[1]["code"]["cut"] is False
    message = records[-1]["error"]["message"]
    assert message.startswith("\x1b[2J\u202e\x85\nAAA") and len(message.encode()) <= 512


def test_output_and_results_stay_out(pysandbox, log):
    pysandbox.run("print('secret-1'); result = 'secret-2'; x = 'secret-3'", "--audit", log)
    assert b"secret" not in log.read_bytes()


# A log that cannot be kept


@pytest.mark.parametrize("where", ["nowhere/audit.jsonl", "folder", "foreign"])
def test_without_a_log_nothing_runs(pysandbox, tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "foreign").write_text("not a log\n")
    effect = tmp_path / "out"
    words = ["--audit", tmp_path / where, "--output", effect, "-c", "open('f', 'w').close()"]
    done = pysandbox("run", *words)
    assert done.code == 125 and "audit" in done.stderr
    assert not list(effect.iterdir())
    done = pysandbox("run", "--audit-optional", *words)
    assert done.code == 0 and [f.name for f in effect.iterdir()] == ["f"]
    assert (tmp_path / "foreign").read_text() == "not a log\n"


# Verification


def test_a_whole_log_is_whole_and_says_what_that_does_not_show(pysandbox, log, key):
    for _ in range(3):
        pysandbox.run("1", "--audit", log)
    done = pysandbox("audit", "verify", log)
    assert done.code == 0 and done.stdout.startswith("whole: 7 records, numbers 1 to 7")
    assert "no key" in done.stdout and "do not show" in done.stdout
    head = re.search("^head: ([0-9a-f]{64})$", done.stdout, re.M).group(1)
    assert head == read(log)[-1]["hash"]
    pysandbox.run("1", "--audit", log)
    report = verify(pysandbox, "--head", head, log)
    assert report["fault_count"] == 0 and report["after_head"] == 2
    assert verify(pysandbox, "--key", key, log)["fault_count"] == 1


def test_a_keyed_log(pysandbox, log, key):
    pysandbox.run("1", "--audit", log, "--audit-key", key)
    pysandbox.run("1", "--audit", log, "--audit-key", key)
    assert read(log, KEY)[0]["chain"] == "hmac-sha256"
    report = verify(pysandbox, "--key", key, log)
    assert (report["fault_count"], report["keyed"], report["records"]) == (0, True, 5)
    assert verify(pysandbox, log)["fault_count"] == 1
    done = pysandbox("run", "--audit", log, "-c", "print(1)")
    assert done.code == 125 and done.stdout == ""


def lines_of(log):
    return log.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("change, line, said", [
    (lambda x: x[:2] + [x[2].replace(b'"ok"', b'"OK"')] + x[3:], 3, "changed"),
    (lambda x: x[:2] + x[3:], 3, "removed"),
    (lambda x: x[1:], 1, "begin"),
    (lambda x: x[:1] + [x[2], x[1]] + x[3:], 2, "removed"),
    (lambda x: x + x[-1:], 8, "repeated"),
    (lambda x: x[:3] + [b"{}\n"] + x[3:], 4, "not a record"),
    (lambda x: x[:-1] + [x[-1][:-20]], 7, "torn"),
    (lambda x: x[:-1] + [x[-1][:-1]], 7, "newline"),
    (lambda x: [], 1, "begin"),
])
def test_tampering_is_found_and_its_line_named(pysandbox, log, change, line, said):
    for _ in range(3):
        pysandbox.run("1", "--audit", log)
    log.write_bytes(b"".join(change(lines_of(log))))
    fault = verify(pysandbox, log)["faults"][0]
    assert fault["line"] == line and said in fault["message"], fault
    assert fault["file"] == str(log)


def test_a_rewritten_plain_chain_shows_against_a_noted_head_only(pysandbox, log):
    for _ in range(2):
        pysandbox.run("1", "--audit", log)
    head = verify(pysandbox, log)["head"]
    text, prev = b"", GENESIS
    for line in lines_of(log):
        body = line.rpartition(b',"hash":"')[0].replace(b'"status":"ok"', b'"status":"error"')
        body = re.sub(b'"prev":"[0-9a-f]{64}"', b'"prev":"%s"' % prev.encode(), body)
        prev = seal(body, None)
        text += body + b',"hash":"%s"}\n' % prev.encode()
    log.write_bytes(text)
    assert verify(pysandbox, log)["fault_count"] == 0
    report = verify(pysandbox, "--head", head, log)
    assert report["fault_count"] == 1 and "rewritten" in report["faults"][0]["message"]


@pytest.mark.parametrize("words, said", [
    (["audit"], "verify"), (["audit", "erase"], "erase"), (["audit", "verify"], "no file"),
    (["audit", "verify", "/nonexistent"], "/nonexistent"), (["audit", "verify", "/"], "regular"),
    (["audit", "verify", "--head", "abc", "/dev/null"], "head"),
    (["run", "--audit-sync", "often", "--audit", "x", "-c", "1"], "often"),
    (["run", "--audit-code", "-c", "1"], "--audit FILE"),
    (["run", "--audit-rotate", "1k", "--audit", "x", "-c", "1"], "rotate_bytes"),
])
def test_wrong_words(pysandbox, tmp_path, words, said):
    done = pysandbox(*words, cwd=tmp_path)
    assert done.code == 2 and said in done.stderr and done.stdout == ""
    assert not list(tmp_path.iterdir())


# Rotation, several processes, kill -9


def files_of(log):
    return sorted(log.parent.glob(log.name + ".0*")) + [log]


def test_rotated_files_verify_as_one_chain(pysandbox, log):
    for _ in range(24):
        pysandbox.run("1", "--audit", log, "--audit-rotate", "16k", "--audit-sync", "all")
    files = files_of(log)
    assert len(files) > 2
    report = verify(pysandbox, *files)
    assert (report["fault_count"], report["accepted"], report["ended"]) == (0, 24, 24)
    assert verify(pysandbox, *files[1:])["continues"] is True
    assert verify(pysandbox, files[0], *files[2:])["fault_count"] > 0
    first = verify(pysandbox, files[0])["head"]
    assert verify(pysandbox, "--previous", first, *files[1:])["fault_count"] == 0
    assert verify(pysandbox, "--previous", "0" * 63 + "1", *files[1:])["fault_count"] == 1


def test_commands_that_are_killed_leave_a_chain(pysandbox, log):
    """Eight at a time, some killed at any moment; the last one closes off what is left."""
    chance = random.Random(7)
    words = ["run", "--audit", log, "--audit-code", "--audit-rotate", "64k", "-"]
    source = b"import time; time.sleep(0.01)  #" + b"x" * 9000
    running, started = [], 0
    while started < 80:
        process = pysandbox.start(*words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        process.stdin.write(source)
        process.stdin.close()
        running.append(process)
        started += 1
        if len(running) == 8:
            time.sleep(chance.uniform(0, 0.1))
            victim = running.pop(chance.randrange(len(running)))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
    for process in running:
        assert process.wait(60) == 0
    assert pysandbox("run", "--audit", log, "-c", "1").code == 0
    report = verify(pysandbox, *files_of(log))
    assert report["fault_count"] == 0, report
    assert report["ended"] >= 8 and report["open"] == report["accepted"] - report["ended"]


def test_the_record_is_there_before_the_run(pysandbox, log):
    """Seen from outside while the guest runs."""
    process = pysandbox.start("run", "--audit", log, "-c", "import time; time.sleep(30)")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (
            not log.exists() or log.read_bytes().count(b"\n") < 2):
        time.sleep(0.02)
    assert [r["event"] for r in read(log)] == ["begin", "accepted"]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.stdout.close()
    process.stderr.close()
    assert read(log)[-1]["status"] == "cancelled"
