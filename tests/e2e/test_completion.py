"""Shell completion, in the shells themselves: everything the help names is offered."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPLETIONS = ROOT / "completions"

BASH = r"""
source {completions}/pysandbox.bash
COMP_WORDS=({words} "$LAST"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
_pysandbox 2>/dev/null
printf '%s\n' "${{COMPREPLY[@]}}"
"""
FISH = "source {completions}/pysandbox.fish; complete -C '{words} {last}'"
# An interactive shell on a terminal of its own; Tab twice lists what there is.
ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "fpath=({completions} \$fpath); autoload -Uz compinit; compinit -D -u; PS1=; LISTMAX=0; COLUMNS=300; LINES=200; print re''ady"
zpty -r z out '*ready*' >/dev/null
zpty -n -w z "{words} {last}"$'\t\t'
repeat 200; do sleep 0.02; zpty -rt z more && out+=$more; [[ $out == *{wanted}* ]] && sleep 0.3 && break; done
while zpty -rt z more; do out+=$more; done
print -r -- $out
"""


class Shell:
    def __init__(self, name, command, home):
        self.name, self.env = name, {
            "PATH": f"{pathlib.Path(command).resolve().parent}:/usr/bin:/bin", "HOME": str(home),
            "TERM": "xterm", "LANG": "C.UTF-8"}

    def offers(self, words, last="", wanted=""):
        """The candidates' names; for zsh, all that is on the screen."""
        script = {"bash": BASH, "fish": FISH, "zsh": ZSH}[self.name].format(
            completions=COMPLETIONS, words=words, last=last, wanted=wanted)
        flags = {"bash": ["--norc", "-c"], "fish": ["-N", "-c"], "zsh": ["-f", "-c"]}[self.name]
        done = subprocess.run([self.name, *flags, script], env=self.env | {"LAST": last}, text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        if self.name == "zsh":
            return set(re.findall(r"[-\w]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", done.stdout)))
        return {line.split("\t")[0] for line in done.stdout.splitlines()}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, pysandbox, tmp_path):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    return Shell(request.param, pysandbox.path, tmp_path)


def commands(pysandbox):
    return re.findall(r"^  ([a-z]+) ", pysandbox("--help").stdout, re.MULTILINE)


def options(pysandbox, command):
    return re.findall(r"^  (-[-a-z]*)", pysandbox(command, "--help").stdout, re.MULTILINE)


def test_commands(shell, pysandbox):
    assert set(commands(pysandbox)) <= shell.offers("pysandbox", wanted="bench")
    assert {"demo", "doctor"} <= shell.offers("pysandbox", "d", wanted="demo")
    assert "bench" not in shell.offers("pysandbox", "d", wanted="demo")


def test_every_option_of_every_command(shell, pysandbox):
    for command in commands(pysandbox):
        wanted = set(options(pysandbox, command))
        assert wanted and wanted - {"-c", "-n"} <= shell.offers(
            f"pysandbox {command}", "--", wanted="--help"), command


@pytest.mark.parametrize("words, wanted", [
    ("pysandbox run --engine", {"auto", "native"}),
    ("pysandbox run --policy", {"default", "data-science", "strict"}),
    ("pysandbox run --json --on-output-limit", {"kill", "truncate"}),
    ("pysandbox bench --phase", {"latency", "throughput"}),
])
def test_values(shell, words, wanted):
    assert wanted <= shell.offers(words, wanted=min(wanted))


def test_engines_and_policies_offered_are_real(pysandbox, tmp_path):
    bash = Shell("bash", pysandbox.path, tmp_path)
    for name in bash.offers("pysandbox run --engine") | {"auto"}:
        assert pysandbox("run", "--engine", name, "-c", "1").code in (0, 125), name
    for name in bash.offers("pysandbox run --policy"):
        assert pysandbox("run", "--policy", name, "-c", "1").code in (0, 125), name


def test_an_equals_sign(pysandbox, tmp_path):
    bash = Shell("bash", pysandbox.path, tmp_path)
    assert bash.offers("pysandbox run --engine =", "n") == {"native"}


def test_they_are_installed(pysandbox, tmp_path):
    build = pathlib.Path(pysandbox.path).resolve().parent
    if not (build / "build.ninja").exists():
        pytest.skip("the command is not in a build folder")
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", tmp_path],
                   check=True, env=os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                   capture_output=True)
    found = {str(path.relative_to(path.parents[2])) for path in tmp_path.rglob("*pysandbox*")
             if path.is_file() and "completions" in str(path.parent) or path.name == "_pysandbox"}
    assert {"bash-completion/completions/pysandbox", "zsh/site-functions/_pysandbox",
            "fish/vendor_completions.d/pysandbox.fish"} <= found
