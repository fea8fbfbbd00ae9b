"""The command: help, bad input of every kind, exit codes of every status, files, streams."""

import json
import os
import subprocess
import time

import psbtest
import pytest

COMMANDS = ["run", "engines", "policy", "doctor", "audit", "image", "demo", "bench"]


# Help and version


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(pysandbox, words):
    done = pysandbox(*words)
    assert done.code == 0 and done.stderr == ""
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(pysandbox, command):
    done = pysandbox(command, "--help")
    assert done.code == 0 and done.stderr == ""
    assert done.stdout.startswith(f"usage: pysandbox {command}")


def test_run_help_names_every_option_of_the_contract(pysandbox):
    text = pysandbox("run", "--help").stdout
    for name in ("--engine --policy --require --timeout --cpu --memory --input --file --output "
                 "--env --python --preload --tag --json -c").split():
        assert f"  {name} " in text, name


def test_version(pysandbox):
    done = pysandbox("--version")
    assert done.code == 0 and done.stdout.split() == ["pysandbox", "0.1.0"]


# Usage errors: exit 2, a message that names the thing, nothing on stdout


@pytest.mark.parametrize("words, said", [
    ([], "no command"),
    (["fly"], "fly"),
    (["run"], "nothing to run"),
    (["run", "-c", "1", "x.py"], "both"),
    (["run", "a.py", "b.py"], "b.py"),
    (["run", "--fast", "-c", "1"], "--fast"),
    (["run", "--time", "1", "-c", "1"], "--time"),
    (["run", "--json=yes", "-c", "1"], "--json"),
    (["run", "-c"], "-c"),
    (["run", "--timeout"], "--timeout"),
    (["run", "--timeout", "soon", "-c", "1"], "soon"),
    (["run", "--timeout", "0", "-c", "1"], "'0'"),
    (["run", "--timeout", "-1", "-c", "1"], "'-1'"),
    (["run", "--timeout", "1e3", "-c", "1"], "1e3"),
    (["run", "--timeout", "nan", "-c", "1"], "nan"),
    (["run", "--timeout", "99999999999999999999", "-c", "1"], "999"),
    (["run", "--cpu", "", "-c", "1"], "--cpu"),
    (["run", "--memory", "12Q", "-c", "1"], "12Q"),
    (["run", "--memory", "-5M", "-c", "1"], "-5M"),
    (["run", "--memory", "0", "-c", "1"], "'0'"),
    (["run", "--memory", "99999999999G", "-c", "1"], "999"),
    (["run", "--memory", "1M", "-c", "1"], "memory"),
    (["run", "--processes", "many", "-c", "1"], "many"),
    (["run", "--processes", "5000", "-c", "1"], "processes"),
    (["run", "--on-output-limit", "shrug", "-c", "1"], "shrug"),
    (["run", "--file", "x", "-c", "1"], "GUEST=HOST"),
    (["run", "--file", "=x", "-c", "1"], "GUEST=HOST"),
    (["run", "--file", "../up=/etc/hostname", "-c", "1"], "../up"),
    (["run", "--file", "/abs=/etc/hostname", "-c", "1"], "/abs"),
    (["run", "--file", "x=/nonexistent/file", "-c", "1"], "/nonexistent/file"),
    (["run", "--file", "x=/dev/null", "-c", "1"], "/dev/null"),
    (["run", "--env", "NOVALUE", "-c", "1"], "NOVALUE"),
    (["run", "--env", "=V", "-c", "1"], "=V"),
    (["run", "--input", "{", "-c", "1"], "input"),
    (["run", "--input", "[1]", "-c", "1"], "input"),
    (["run", "--input", '{"a": NaN}', "-c", "1"], "input"),
    (["run", "--input", "@/nonexistent.json", "-c", "1"], "/nonexistent.json"),
    (["run", "--engine", "steam", "-c", "1"], "steam"),
    (["run", "--policy", "lenient", "-c", "1"], "lenient"),
    (["run", "--policy", "/nonexistent/policy.json", "-c", "1"], "/nonexistent/policy.json"),
    (["run", "--require", "11", "-c", "1"], "11"),
    (["run", "--require", "sorcery", "-c", "1"], "sorcery"),
    (["run", "--python", "/nonexistent/python", "-c", "1"], "/nonexistent/python"),
    (["run", "--tag", "t" * 300, "-c", "1"], "tag"),
    (["run", "/nonexistent/main.py"], "/nonexistent/main.py"),
    (["run", "/etc"], "directory"),
    (["run", "--output", "/nonexistent/a/b", "-c", "1"], "/nonexistent/a/b"),
    (["engines", "extra"], "extra"),
    (["demo", "--nothing"], "--nothing"),
    (["doctor", "all"], "all"),
    (["doctor", "--engine", "steam"], "steam"),
    (["bench", "-n", "0"], "'0'"),
    (["bench", "--phase", "moon"], "moon"),
    (["bench", "--pool", "1000"], "--pool"),
])
@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_usage_errors(pysandbox, words, said, extra):
    if words[:1] != ["run"]:
        extra = []
    done = pysandbox(*words[:1], *extra, *words[1:])
    assert done.code == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("pysandbox: ") and said in done.stderr
    assert done.stderr.count("\n") == 1


def test_symlink_is_not_followed(pysandbox, tmp_path):
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    done = pysandbox("run", "--file", f"x={tmp_path}/link", "-c", "print(open('x').read())")
    assert done.code == 2 and "canary" not in done.stdout


def test_policy_file_with_unknown_key(pysandbox, tmp_path):
    (tmp_path / "p.json").write_text('{"no_such_key": 1}')
    done = pysandbox("run", "--policy", tmp_path / "p.json", "-c", "1")
    assert done.code == 2 and "no_such_key" in done.stderr


def test_policy_file_must_be_an_object(pysandbox, tmp_path):
    (tmp_path / "p.json").write_text(" [1]")
    assert pysandbox("run", "--policy", tmp_path / "p.json", "-c", "1").code == 2


# Where the source comes from


def test_source_from_a_file(pysandbox, tmp_path):
    (tmp_path / "prog.py").write_text("import sys\nresult = 6 * 7\n")
    done = pysandbox("run", tmp_path / "prog.py")
    assert (done.code, done.stdout, done.stderr) == (0, "42\n", "")


def test_source_from_stdin(pysandbox):
    done = pysandbox("run", "-", stdin=b"print('hi')\n")
    assert (done.code, done.stdout, done.stderr) == (0, "hi\n", "")


def test_options_may_follow_the_file(pysandbox, tmp_path):
    (tmp_path / "prog.py").write_text("result = 1\n")
    assert pysandbox("run", tmp_path / "prog.py", "--json").outcome["result"] == 1


def test_double_dash_ends_the_options(pysandbox, tmp_path):
    (tmp_path / "-odd.py").write_text("result = 1\n")
    assert pysandbox("run", "--", "-odd.py", cwd=tmp_path).stdout == "1\n"


def test_empty_source(pysandbox):
    done = pysandbox("run", "-c", "")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")


def test_binary_source_is_pythons_business(pysandbox, tmp_path):
    (tmp_path / "bin.py").write_bytes(b"\x7fELF\x00\x01\x02\xff")
    outcome = pysandbox("run", "--json", tmp_path / "bin.py").outcome
    assert outcome["status"] == "error"
    assert outcome["error"]["type"] in ("SyntaxError", "ValueError")


def test_host_path_of_the_source_stays_outside(pysandbox, tmp_path):
    (tmp_path / "prog.py").write_text("1/0\n")
    done = pysandbox("run", tmp_path / "prog.py")
    assert done.code == 1 and "prog.py" in done.stderr and str(tmp_path) not in done.stderr


# Exit codes and statuses

ENDS = [
    ("pass", [], "ok", 0),
    ("import sys; result = 1; sys.exit(0)", [], "ok", 0),
    ("1/0", [], "error", 1),
    ("def (", [], "error", 1),
    ("import sys; sys.exit(7)", [], "exit", 7),
    ("import sys; sys.exit(63)", [], "exit", 63),
    ("import sys; sys.exit(64)", [], "exit", 64),
    ("import sys; sys.exit(200)", [], "exit", 64),
    ("import os; os._exit(3)", [], "exit", 3),
    ("print('x' * 100000)", ["--stdout-limit", "1k"], "output_limit", 66),
    ("import sys; sys.stderr.write('x' * 100000)", ["--stderr-limit", "1k"], "output_limit", 66),
    ("result = 'x' * 100000", ["--result-limit", "1k"], "result_limit", 66),
    ("import time; time.sleep(60)", ["--timeout", "0.5"], "timeout", 124),
    ("while True: pass", ["--cpu", "0.3", "--timeout", "20"], "cpu_limit", 124),
]


@pytest.mark.parametrize("code, words, status, exit_code",
                         ENDS, ids=lambda v: str(v)[:24])
def test_exit_code_with_json(pysandbox, code, words, status, exit_code):
    done = pysandbox("run", "--json", *words, "-c", code)
    assert done.outcome["status"] == status, done
    assert done.code == exit_code


@pytest.mark.parametrize("code, words, status, exit_code",
                         ENDS, ids=lambda v: str(v)[:24])
def test_exit_code_without_json(pysandbox, code, words, status, exit_code):
    done = pysandbox("run", *words, "-c", code)
    assert done.code == exit_code, done
    if status in ("ok", "exit"):
        assert done.stderr == ""
    elif status == "error":
        assert "Traceback" in done.stderr or "SyntaxError" in done.stderr
    else:
        assert done.stderr.splitlines()[-1].startswith("pysandbox: ")


def test_memory_limit_is_told(pysandbox):
    code = ("import mmap\nm = mmap.mmap(-1, 512 << 20)\n"
            "for i in range(0, 512 << 20, 4096): m[i] = 1\n")
    outcome = pysandbox.run(code, "--memory", "64M")
    assert (outcome["status"], outcome["command_exit_code"]) in [("memory_limit", 137),
                                                                 ("error", 1)]
    if outcome["status"] == "error":
        assert "memory" in outcome["limits_hit"]


def test_crash(pysandbox):
    code = "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()\n"
    done = pysandbox("run", "--json", "-c", code)
    outcome = done.outcome
    assert (outcome["status"], done.code) in [("crash", 70), ("memory_limit", 137), ("error", 1)]


def test_unavailable_floor_runs_nothing(pysandbox):
    done = pysandbox("run", "--json", "--engine", "native", "--require", "10", "-c", "print(1)")
    assert done.outcome["status"] == "unavailable" and done.code == 125
    assert done.outcome.get("stdout", "") == ""
    plain = pysandbox("run", "--engine", "native", "--require", "10", "-c", "print(1)")
    assert plain.code == 125 and plain.stdout == "" and plain.stderr.startswith("pysandbox: ")


@pytest.mark.parametrize("option, said", [
    (["--timeout", "0.5"], "0.5 s"), (["--timeout", "0.25"], "0.25 s")])
def test_the_message_names_the_limit(pysandbox, option, said):
    done = pysandbox("run", *option, "-c", "import time; time.sleep(60)")
    assert f"wall-clock limit ({said})" in done.stderr


# Output, result, inputs


def test_streams_are_kept_apart(pysandbox):
    done = pysandbox("run", "-c", "import sys; print('out'); print('err', file=sys.stderr)")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_result_has_a_line_of_its_own(pysandbox):
    assert pysandbox("run", "-c", "print('x', end=''); result = 1").stdout == "x\n1\n"


def test_no_result_no_line(pysandbox):
    assert pysandbox("run", "-c", "x = 1").stdout == ""


def test_none_is_a_result(pysandbox):
    assert pysandbox("run", "-c", "result = None").stdout == "null\n"


def test_json_is_one_object_and_nothing_else(pysandbox):
    done = pysandbox("run", "--json", "--tag", "t-1", "-c", "print('hi'); result = [1, 2.5, 'é']")
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    outcome = done.outcome
    assert outcome["stdout"] == "hi\n" and outcome["result"] == [1, 2.5, "é"]
    assert outcome["tag"] == "t-1" and outcome["engine"]["name"] == psbtest.ENGINE


def test_input_text_and_file(pysandbox, tmp_path):
    (tmp_path / "in.json").write_text('{"n": 20, "s": "a\\u2028\'\'\'"}')
    assert pysandbox("run", "--input", '{"n": 20}', "-c", "result = n + 1").stdout == "21\n"
    outcome = pysandbox.run("result = [n, s]", "--input", f"@{tmp_path}/in.json")
    assert outcome["result"] == [20, "a\u2028'''"]


def test_env_is_only_what_was_given(pysandbox):
    code = "import os; result = dict(os.environ)"
    host = {**os.environ, "PSB_CANARY": "leaked"}
    result = pysandbox.run(code, "--env", "A=1", "--env", "B=x=y", env=host)["result"]
    assert result["A"] == "1" and result["B"] == "x=y" and "PSB_CANARY" not in result


def test_output_is_streamed(pysandbox):
    process = pysandbox.start("run", "-c", "import time\nprint('now', flush=True)\ntime.sleep(3)")
    started = time.monotonic()
    assert process.stdout.readline() == b"now\n"
    early = time.monotonic() - started
    assert process.wait(timeout=30) == 0
    assert time.monotonic() - started - early > 2


def test_reader_that_goes_away_ends_the_run_quietly(pysandbox):
    code = "while True: print('x' * 1000)"
    process = pysandbox.start("run", "--timeout", "20", "--stdout-limit", "1G", "-c", code)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=15) == 141
    assert process.stderr.read() == b""


def test_full_disk_is_an_error(pysandbox):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([pysandbox.path, "run", "-c", "print(1)"], stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"No space left" in done.stderr


# Files


def test_file_in_and_out(pysandbox, tmp_path):
    (tmp_path / "in.txt").write_text("hello")
    code = ("import os\n"
            "text = open('data/in.txt').read()\n"
            "os.makedirs('sub', exist_ok=True)\n"
            "open('sub/out.txt', 'w').write(text.upper())\n")
    out = tmp_path / "out"
    outcome = pysandbox.run(code, "--file", f"data/in.txt={tmp_path}/in.txt", "--output", out)
    assert outcome["status"] == "ok", outcome
    assert (out / "sub/out.txt").read_text() == "HELLO"
    assert (tmp_path / "in.txt").read_text() == "hello"
    assert "sub/out.txt" in [entry["name"] for entry in outcome["files"]]


def test_the_guest_has_a_copy_of_a_file(pysandbox, tmp_path):
    (tmp_path / "in.txt").write_text("hello")
    code = "open('in.txt', 'w').write('changed')"
    pysandbox.run(code, "--file", f"in.txt={tmp_path}/in.txt")
    assert (tmp_path / "in.txt").read_text() == "hello"


def test_links_in_the_workspace_do_not_come_out(pysandbox, tmp_path):
    (tmp_path / "canary").write_text("canary")
    code = f"import os\nos.symlink({str(tmp_path / 'canary')!r}, 'link')\nopen('a', 'w').write('a')"
    out = tmp_path / "out"
    pysandbox.run(code, "--output", out)
    assert (out / "a").read_text() == "a"
    assert not os.path.lexists(out / "link")


# Engines, demo, bench


def test_engines(pysandbox):
    done = pysandbox("engines", "--json")
    engines = json.loads(done.stdout)
    assert done.code == 0
    native = next(engine for engine in engines if engine["name"] == "native")
    assert set(native) == {"name", "available", "level", "rung", "missing"}
    assert native["available"] is True and native["level"] >= 4 and native["rung"] in "ABCD"
    assert "native" in pysandbox("engines").stdout


@pytest.mark.parametrize("engine", ("auto", "native", "microvm"))
def test_demo(pysandbox, engine):
    if engine == "microvm" and not psbtest.may_use_kvm(psbtest.BEST):
        pytest.skip("no /dev/kvm")
    done = pysandbox("demo", "--engine", engine)
    assert done.code == 0, done
    assert '{"count":5,"max":5,"mean":3.0,"min":1,"sum":15}' in done.stdout
    assert ('{"average_price":13.83,"most_expensive":"Widget B","product_count":3,'
            '"total_sales":3498.0}') in done.stdout
    blocked = [line for line in done.stdout.splitlines() if "Blocked: " in line]
    assert [line.split("Blocked: ")[1].split(",")[0] for line in blocked] == [
        "read the file system", "run a subprocess", "use the network", "write a file outside"]
    assert all("by the kernel" in line or "forbidden call" in line for line in blocked)
    assert sum("by the import list" in line for line in blocked) == 2
    assert "\033" not in done.stdout


def test_bench_prints_the_keys_of_the_contract(pysandbox):
    done = pysandbox("bench", "--engine", "native", "-n", "20", "--duration", "0.5", "--inflight",
                     "2", "--json")
    figures = json.loads(done.stdout)
    assert set(figures) == {"engine", "n", "p50_us", "p90_us", "p99_us", "recycle_us", "inflight",
                            "pool", "per_second"}
    assert figures["n"] == 20 and figures["inflight"] == 2 and figures["per_second"] > 0
    assert 0 < figures["p50_us"] <= figures["p90_us"] <= figures["p99_us"]


def test_bench_of_code_that_fails_has_no_figure(pysandbox):
    done = pysandbox("bench", "-n", "5", "-c", "1/0")
    assert done.code == 1 and done.stdout == "" and "ZeroDivisionError" in done.stderr
