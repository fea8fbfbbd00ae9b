"""The README's examples, run as they stand."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def steps(block):
    """(command, expected output) pairs of a console block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2]))


def matches(expected, got):
    """Equal, where three dots stand for anything."""
    pattern = ".*?".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def test_the_readme_has_examples():
    assert len(blocks("console")) >= 5 and len(blocks("c")) == 1


def test_three_dots_match_anything_and_nothing_else_does():
    assert matches("a...b\n", "axyb\n") and not matches("a...b\n", "axyc\n")
    assert not matches("a\n", "a\nb\n")


@pytest.mark.parametrize("block", blocks("console"))
def test_console(pysandbox, tmp_path, block):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pysandbox").symlink_to(pathlib.Path(pysandbox.path).resolve())
    env = {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    assert steps(block)
    for command, expected in steps(block):
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              check=False)
        assert matches(expected, done.stdout), f"{command}\n{done.stdout}"


def test_c(pysandbox, tmp_path):
    compiler = shutil.which("gcc") or shutil.which("cc")
    build = pathlib.Path(pysandbox.path).resolve().parent
    library = next(build.rglob("libpysandbox.so"))
    (tmp_path / "main.c").write_text(blocks("c")[0])
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "main.c", "-o",
                    "main", library, f"-Wl,-rpath,{library.parent}"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "6\n")
