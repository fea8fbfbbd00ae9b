"""Policies from outside: the command, the published schema, the site policy, what a run may use."""

import json
import os
import pathlib
import shutil
import subprocess

import jsonschema
import pytest

SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs" / "policy.schema.json").read_text())
POLICY = jsonschema.Draft202012Validator(SCHEMA)
SITE = jsonschema.Draft202012Validator({"$ref": "#/$defs/site", "$defs": SCHEMA["$defs"]})
TEMPLATES = ["default", "data-science", "documents", "strict"]

GOOD = [
    {},
    {"name": "x", "template": "strict"},
    {"limits": {"wall_ms": 1, "cpu_ms": 10, "on_output_limit": "truncate"}},
    {"limits": {"open_files": 16, "processes": 1024}},
    {"imports": {"mode": "off"}},
    {"imports": {"mode": "off", "names": []}},
    {"imports": {"mode": "deny", "names": []}},
    {"imports": {"mode": "allow", "names": ["os", "urllib.request", "modül"]}},
    {"files": {}},
    {"files": {"max_inputs": 0, "output": False}},
    {"files": {"max_inputs": 256, "max_input_bytes": 1}},
    {"environment": {"allow": "any", "set": {"A": "", "_B1": "x y"}}},
    {"environment": {"allow": ["A", "LC_*"]}},
    {"network": "none"}, {"fresh_worker": True}, {"share_image": False}, {"fresh_worker": False, "share_image": True},
    {"require": 1}, {"require": 10}, {"require": "memory"}, {"require": ["memory", 7, "ipc"]},
]
BAD = [
    ({"nme": 1}, "nme"), ({"name": ""}, "name"), ({"name": "a\nb"}, "name"), ({"name": "x" * 64}, "name"),
    ({"template": "lenient"}, "template"), ({"template": None}, "template"),
    ({"limits": []}, "limits"), ({"limits": {"wall": 1}}, "wall"), ({"limits": {"wall_ms": 0}}, "wall_ms"),
    ({"limits": {"wall_ms": "1"}}, "wall_ms"), ({"limits": {"wall_ms": 1.5}}, "wall_ms"),
    ({"limits": {"memory_bytes": 1000}}, "memory_bytes"), ({"limits": {"open_files": 201}}, "open_files"),
    ({"limits": {"on_output_limit": "drop"}}, "on_output_limit"),
    ({"imports": {}}, "mode"), ({"imports": {"mode": "on"}}, "mode"), ({"imports": {"mode": "deny"}}, "names"),
    ({"imports": {"mode": "allow"}}, "names"), ({"imports": {"mode": "off", "names": ["os"]}}, "no effect"),
    ({"imports": {"mode": "deny", "names": ["a b"]}}, "names[0]"),
    ({"imports": {"mode": "deny", "names": ["os", "os"]}}, "names[1]"),
    ({"imports": {"mode": "deny", "names": "os"}}, "names"),
    ({"files": {"max_inputs": 257}}, "max_inputs"), ({"files": {"max_input_bytes": 0}}, "max_input_bytes"),
    ({"files": {"max_inputs": 0, "max_input_bytes": 1}}, "without effect"), ({"files": {"output": 1}}, "output"),
    ({"environment": {"allow": "none"}}, "allow"), ({"environment": {"allow": ["*"]}}, "allow[0]"),
    ({"environment": {"set": {"A-B": "x"}}}, "A-B"), ({"environment": {"set": {"A": 1}}}, "set.A"),
    ({"network": "host"}, "network"), ({"network": None}, "network"),
    ({"fresh_worker": 1}, "fresh_worker"), ({"share_image": "no"}, "share_image"), ({"share_image": None}, "share_image"),
    ({"require": 0}, "require"), ({"require": 11}, "require"), ({"require": "imports"}, "imports"),
    ({"require": []}, "require"), ({"require": [6, 7]}, "require[1]"), ({"require": ["cpu", "cpu"]}, "require[1]"),
    ({"require": {"level": 6}}, "require"), ({"require": None}, "require"),
]
# What a schema cannot say: two members that contradict each other.
CONTRADICTIONS = [
    ({"limits": {"workspace_bytes": 4096}, "files": {"max_input_bytes": 4097}}, "workspace_bytes"),
    ({"environment": {"allow": ["A"], "set": {"A": "1"}}}, "one of them"),
]


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o644)
    return path


@pytest.fixture
def policy(tmp_path):
    return lambda value: write(tmp_path / "policy.json", value)


@pytest.fixture
def site(tmp_path):
    tmp_path.chmod(0o755)
    return lambda value: write(tmp_path / "site.json", value)


# The schema and the reader are one


@pytest.mark.parametrize("value", GOOD, ids=range(len(GOOD)))
def test_good_policies(pysandbox, policy, value):
    POLICY.validate(value)
    done = pysandbox("policy", "show", "--json", policy(value))
    assert done.code == 0 and done.stderr == "", done
    shown = done.outcome
    POLICY.validate(shown["policy"])
    for key, member in value.get("limits", {}).items():
        assert shown["policy"]["limits"][key] == member
    assert shown["policy"]["fresh_worker"] == value.get("fresh_worker", False)
    assert shown["policy"]["share_image"] == value.get("share_image", True)


@pytest.mark.parametrize("value, said", BAD, ids=range(len(BAD)))
def test_bad_policies(pysandbox, policy, value, said):
    assert not POLICY.is_valid(value)
    for words in (["policy", "show"], ["policy", "check"], ["run", "-c", "print('ran')", "--policy"]):
        done = pysandbox(*words, policy(value))
        assert done.code == 2 and done.stdout == "" and said in done.stderr, done
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("value, said", CONTRADICTIONS, ids=range(len(CONTRADICTIONS)))
def test_contradictions(pysandbox, policy, value, said):
    done = pysandbox("policy", "check", policy(value))
    assert done.code == 2 and said in done.stderr, done


@pytest.mark.parametrize("text, said", [
    ('{"limits": {"wall_ms": 1, "wall_ms": 2}}', "policy.limits.wall_ms: byte 26: a duplicate key"),
    ('{"require": [6, {"a": 1, "a": 2}]}', "policy.require[1].a: byte 25"),
    ("{", "policy: byte 1"), ("{} {}", "text after"), ('{"a": NaN}', "policy.a: byte 6"), ("[]", "a policy is a JSON"),
    ("", "a policy is a JSON"), ('{"name": "\\ud800"}', "policy.name: byte"), ("{}\0{", "byte 2 is NUL"),
])
def test_what_is_no_json_object(pysandbox, policy, text, said):
    done = pysandbox("run", "--policy", policy(text), "-c", "print('ran')")
    assert done.code == 2 and done.stdout == "" and said in done.stderr, done


# The command


def test_show_lists_the_templates(pysandbox):
    assert pysandbox("policy", "show").stdout.split() == TEMPLATES
    assert json.loads(pysandbox("policy", "show", "--json").stdout) == TEMPLATES
    assert SCHEMA["properties"]["template"]["enum"] == TEMPLATES


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_policies(pysandbox, policy, name):
    shown = pysandbox("policy", "show", "--json", name).outcome
    POLICY.validate(shown["policy"])
    assert shown["policy"]["name"] == name
    assert json.loads(pysandbox("policy", "show", name).stdout) == shown  # for people: the same JSON
    again = pysandbox("policy", "show", "--json", policy(shown["policy"])).outcome
    assert again["policy"] == shown["policy"]
    assert pysandbox("run", "--policy", name, "-c", "import json; result = 1").stdout == "1\n"


def test_check_names_the_engines(pysandbox):
    done = pysandbox("policy", "check", "strict")
    assert done.code == 0 and done.stdout.startswith("strict: valid\n") and "native" in done.stdout
    report = pysandbox("policy", "check", "--json", "strict").outcome
    native = next(engine for engine in report["engines"] if engine["name"] == "native")
    outcome = pysandbox("run", "--json", "--policy", "strict", "--engine", "native", "-c", "1").outcome
    for key in ("level", "rung", "controls"):
        assert native[key] == outcome["engine"][key]
    assert report["sha256"] == outcome["engine"]["policy_sha256"]


@pytest.mark.parametrize("require, said", [("10", "the floor is 10"), ("8,memory", "the floor is 8")])
def test_check_of_what_no_engine_meets(pysandbox, require, said):
    done = pysandbox("policy", "check", "default", "--engine", "native", "--require", require)
    assert done.code == 125 and said in done.stdout and "no engine" in done.stderr
    done = pysandbox("policy", "check", "default", "--engine", "native", "--require", require, "--json")
    assert done.code == 125 and not any(engine["fits"] for engine in done.outcome["engines"])


@pytest.mark.parametrize("words", [[], ["fly"], ["check"], ["show", "a", "b"], ["check", "lenient"],
                                   ["check", "/nonexistent.json"], ["show", "--engine", "native", "strict"]])
def test_wrong_words(pysandbox, words):
    done = pysandbox("policy", *words)
    assert done.code == 2 and done.stdout == "" and done.stderr.startswith("pysandbox: ")


def test_a_file_may_have_any_name(pysandbox, tmp_path):
    write(tmp_path / "mine", {"name": "from-a-file"})
    shown = pysandbox("policy", "show", "--json", "mine", cwd=tmp_path).outcome
    assert shown["policy"]["name"] == "from-a-file"
    write(tmp_path / "strict", {"name": "impostor"})  # a template's name is the template's
    assert pysandbox("policy", "show", "--json", "strict", cwd=tmp_path).outcome["policy"]["name"] == "strict"


# What a run may use


def test_environment(pysandbox, policy):
    path = policy({"name": "p", "environment": {"allow": ["LANG", "LC_*"], "set": {"TZ": "UTC", "NOTHING": ""}}})
    code = "import os; result = {k: os.environ.get(k) for k in ('LANG', 'LC_ALL', 'TZ', 'NOTHING')}"
    got = pysandbox.run(code, "--policy", path, "--env", "LANG=C", "--env", "LC_ALL=C")
    assert got["result"] == {"LANG": "C", "LC_ALL": "C", "TZ": "UTC", "NOTHING": ""}
    for entry, said in (("HOME=/x", "environment.allow"), ("TZ=CET", "environment.set"), ("LANGUAGE=x", "allow")):
        done = pysandbox("run", "--policy", path, "--env", entry, "-c", "print('ran')")
        assert done.code == 2 and done.stdout == "" and said in done.stderr and '"p"' in done.stderr


def test_files(pysandbox, policy, tmp_path):
    (tmp_path / "in").write_text("12345")
    path = policy({"files": {"max_inputs": 1, "max_input_bytes": 5, "output": False}})
    one = ["--file", f"a={tmp_path}/in"]
    done = pysandbox("run", "--policy", path, *one, "-c", "print(open('a').read())")
    assert done.stdout == "12345\n"
    (tmp_path / "in").write_text("123456")
    for words, said in ((one, "max_input_bytes"), ([*one, "--file", f"b={tmp_path}/in"], "max_inputs"),
                        (["--output", str(tmp_path / "out")], "files.output")):
        done = pysandbox("run", "--policy", path, *words, "-c", "open('x', 'w').write('x'); print('ran')")
        assert done.code == 2 and done.stdout == "" and said in done.stderr, done
    assert not (tmp_path / "out" / "x").exists()


def test_options_only_tighten(pysandbox, policy):
    path = policy({"limits": {"wall_ms": 500, "on_output_limit": "kill"}})
    done = pysandbox("run", "--policy", path, "--timeout", "1", "-c", "print('ran')")
    assert done.code == 2 and done.stdout == "" and "wall_ms: 1000 is wider" in done.stderr
    done = pysandbox("run", "--policy", path, "--on-output-limit", "truncate", "-c", "print('ran')")
    assert done.code == 2 and "wider than the policy's kill" in done.stderr
    done = pysandbox("run", "--policy", path, "-c", "while True: pass")
    assert done.code == 124 and "500 ms" in done.stderr


def test_a_named_control_keeps_the_standard_level(pysandbox):
    done = pysandbox("run", "--json", "--engine", "native", "--rung", "D", "--require", "memory", "-c", "print('ran')")
    assert done.outcome["status"] == "unavailable" and done.outcome["stdout"] == ""


@pytest.mark.parametrize("rung, control, runs", [
    ("A", "identity", True), ("C", "workspace", False), ("C", "filesystem", True), ("D", "filesystem", False),
    ("D", "syscalls", True), ("A", "hardware_speculation", None)])
def test_required_controls_by_rung(pysandbox, rung, control, runs):
    done = pysandbox("run", "--json", "--engine", "native", "--rung", rung, "--require", f"3,{control}", "-c",
                     "print('ran')")
    outcome = done.outcome
    reasons = [entry["reason"] for entry in outcome["fallback"]]
    if any("is not offered by this host" in reason for reason in reasons):
        pytest.skip(reasons[0])
    if runs is None:  # the host's mitigations decide
        plain = pysandbox("run", "--json", "--engine", "native", "-c", "1").outcome["engine"]["controls"]
        runs = plain[control]["by"] == "kernel"
    assert (outcome["status"] == "ok") == runs and outcome["stdout"] == ("ran\n" if runs else "")
    if not runs:
        assert done.code == 125 and any(f'"{control}"' in reason for reason in reasons), outcome


def test_speculation_is_what_the_kernel_says(pysandbox):
    folder = pathlib.Path("/sys/devices/system/cpu/vulnerabilities")
    words = {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else {}
    weak = [name for name, word in words.items() if not word.removeprefix("KVM: ").startswith(
        ("Not affected", "Mitigation")) or "vulnerable" in word.lower() or "unknown" in word.lower()]
    found = pysandbox("run", "--json", "--engine", "native", "-c", "1").outcome["engine"]["controls"][
        "hardware_speculation"]
    if words and not weak:
        assert found == {"by": "kernel", "how": ["host-mitigations"]}
    else:
        assert found["by"] == "absent" and found["how"]
        assert {item.removeprefix("vulnerable:") for item in found["how"]} <= set(weak) | {"unknown"}


# The site policy


GOOD_SITES = [
    {}, {"message": "m"}, {"maxima": {"wall_ms": 5000}}, {"require": [6, "memory"]},
    {"locked": {"limits": {"on_output_limit": "kill", "wall_ms": 100}, "imports": {"mode": "off"},
                "files": {"max_inputs": 0}, "environment": {"allow": []}, "network": "none"}},
]
BAD_SITES = [
    {"mesage": "m"}, {"message": ""}, {"message": "x" * 201}, {"maxima": {"wall": 1}}, {"maxima": {"wall_ms": 0}},
    {"maxima": {"on_output_limit": "kill"}}, {"locked": {"name": "x"}}, {"locked": {"require": 6}},
    {"locked": {"template": "strict"}}, {"locked": {"imports": {"mode": "deny"}}}, {"require": "imports"},
    {"locked": []},
]


@pytest.mark.parametrize("value", GOOD_SITES, ids=range(len(GOOD_SITES)))
def test_good_sites(pysandbox, site, value):
    SITE.validate(value)
    assert pysandbox("policy", "show", "--site-policy", site(value), "default").code == 0


@pytest.mark.parametrize("value", BAD_SITES, ids=range(len(BAD_SITES)))
def test_bad_sites_stop_everything(pysandbox, site, value):
    assert not SITE.is_valid(value)
    path = site(value)
    done = pysandbox("run", "--site-policy", path, "-c", "print('ran')")
    assert done.code == 2 and done.stdout == "" and f"site policy {path}: " in done.stderr, done


def test_a_lowered_limit_says_why(pysandbox, site):
    path = site({"message": "ask the platform team", "maxima": {"wall_ms": 300}})
    done = pysandbox("run", "--site-policy", path, "-c", "while True: pass")
    assert done.code == 124 and "300 ms" in done.stderr and "ask the platform team" in done.stderr
    done = pysandbox("run", "--site-policy", path, "--timeout", "0.1", "-c", "while True: pass")
    assert done.code == 124 and "0.1 s" in done.stderr and "ask" not in done.stderr
    done = pysandbox("run", "--site-policy", path, "--timeout", "1", "-c", "print('ran')")
    assert done.code == 2 and done.stdout == "" and "maximum of 300" in done.stderr
    assert "ask the platform team" in done.stderr


def test_a_site_raises_the_floor(pysandbox, site):
    path = site({"message": "rule 7 of this cluster", "require": 10})
    done = pysandbox("run", "--json", "--engine", "native", "--require", "1", "--site-policy", path, "-c", "print(1)")
    assert done.outcome["status"] == "unavailable" and done.outcome["stdout"] == ""
    assert "the floor is 10" in done.outcome["error"]["message"] and "rule 7 of this cluster" in str(done.outcome)
    done = pysandbox("run", "--json", "--engine", "native", "--require", "10", "--site-policy",
                     site({"message": "rule 7 of this cluster", "require": 1}), "-c", "print(1)")
    assert done.outcome["status"] == "unavailable" and "rule 7" not in str(done.outcome)  # not the site's doing


def test_show_tells_of_the_site(pysandbox, site):
    path = site({"message": "m", "maxima": {"wall_ms": 300}, "locked": {"files": {"max_inputs": 1}}})
    shown = pysandbox("policy", "show", "--json", "--site-policy", path, "default").outcome
    assert shown["site"] == {"notes": [f"site policy {path}: m"], "maxima": {"wall_ms": 300},
                             "lowered": ["wall_ms"], "locked": ["files"]}
    assert shown["policy"]["limits"]["wall_ms"] == 300 and shown["policy"]["files"]["max_inputs"] == 1


# The machine's own: /etc of a private mount namespace, which ends with the command


@pytest.fixture
def machine(pysandbox, tmp_path):
    """A way to run the command with /etc/pysandbox as we like it."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a mount namespace with another /etc")
    etc, scratch = tmp_path / "etc", tmp_path / "scratch"
    for folder in (etc, etc / "pysandbox", scratch):
        folder.mkdir()
        folder.chmod(0o755)
    # The upper layer is in a tmpfs: not every file system can carry one.
    script = (f"mount -t tmpfs none {scratch} && mkdir {scratch}/work && cp -a {etc} {scratch}/upper && mount -t overlay "
              f"overlay -o lowerdir=/etc,upperdir={scratch}/upper,workdir={scratch}/work /etc && exec \"$@\"")

    def call(*words, user=None, **kwargs):
        become = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        argv = ["unshare", "-m", "sh", "-c", script, "sh", *become, pysandbox.path, *map(str, words)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **kwargs)

    call.site = etc / "pysandbox" / "site.json"
    probe = call("--version")
    if probe.returncode != 0:
        pytest.skip(f"no overlay over /etc here: {probe.stderr.strip()[-200:]}")
    yield call
    shutil.rmtree(etc)
    assert not os.path.exists("/etc/pysandbox/site.json")


def test_the_machines_site_binds_everybody(machine, policy, tmp_path):
    write(machine.site, {"message": "rules of this machine", "maxima": {"wall_ms": 400}})
    done = machine("run", "--timeout", "9", "-c", "print('ran')")
    assert done.returncode == 2 and done.stdout == "" and "rules of this machine" in done.stderr
    done = machine("run", "-c", "while True: pass")
    assert done.returncode == 124 and "site policy /etc/pysandbox/site.json" in done.stderr
    # Nothing a caller can say leaves it out.
    other = write(tmp_path.parent / "other.json", {"maxima": {"wall_ms": 90000}})
    try:
        for words, environment in ((["--site-policy", "/dev/null"], {}), (["--site-policy", other], {}),
                                   ([], {"PSB_SITE_POLICY": str(other), "PYSANDBOX_SITE_POLICY": str(other),
                                         "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path),
                                         "XDG_CONFIG_DIRS": str(tmp_path)})):
            done = machine("run", *words, "--timeout", "9", "-c", "print('ran')", env={**os.environ, **environment})
            assert done.returncode == 2 and "ran" not in done.stdout, done
    finally:
        other.unlink()


@pytest.mark.parametrize("spoil, said", [
    (lambda path: path.chmod(0o666), "the file can be written by others"),
    (lambda path: path.parent.chmod(0o777), "the directory can be written by others"),
    (lambda path: os.chown(path, 1234, 0), "the file belongs to uid 1234"),
    (lambda path: os.chown(path.parent, 1234, 0), "the directory belongs to uid 1234"),
    (lambda path: (path.unlink(), path.symlink_to("/dev/null")), "cannot be read"),
    (lambda path: (path.unlink(), os.mkfifo(path)), "cannot be read"),
    (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    (lambda path: path.write_text("{"), "byte 1"),
    (lambda path: path.write_text(""), "byte 0"),
    (lambda path: path.write_bytes(b"{}" + b" " * (1 << 20)), "at most"),
], ids=["file mode", "directory mode", "file owner", "directory owner", "symlink", "fifo", "directory", "half",
        "empty", "huge"])
def test_an_unreliable_site_stops_everything(machine, spoil, said):
    write(machine.site, {})
    assert machine("run", "-c", "print('ran')").stdout == "ran\n"
    spoil(machine.site)
    done = machine("run", "-c", "print('ran')")
    assert done.returncode == 2 and done.stdout == "" and said in done.stderr, done


def test_a_site_that_a_user_cannot_read_stops_him(machine):
    write(machine.site, {}).chmod(0o600)
    assert machine("run", "-c", "print('ran')").stdout == "ran\n"
    done = machine("run", "-c", "print('ran')", user=65533)
    assert done.returncode == 2 and done.stdout == "" and "cannot be read, so nothing runs" in done.stderr
    machine.site.chmod(0o644)
    assert machine("run", "-c", "print('ran')", user=65533).stdout == "ran\n"


def test_no_site_is_no_rule(machine):
    shutil.rmtree(machine.site.parent)
    assert machine("run", "-c", "print('ran')").stdout == "ran\n"
