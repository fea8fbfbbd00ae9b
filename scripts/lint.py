"""Lint: formatting, clang-tidy, banned functions, sizes, Python syntax. Each check is one count."""

import argparse
import ast
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY_FOLDERS = ("src/core/", "src/ipc/", "src/audit/", "src/metrics/", "src/jail/", "src/keeper/", "src/engines/", "cli/")
MAX_LINES = 500  # aim at 400
MAX_TEST_LINES = 800
MAX_FUNCTION_LINES = 70
BANNED = re.compile(r"(?<![\w.>\"])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|system|popen"
                    r"|alloca|tmpnam|mktemp)\s*\(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"", re.DOTALL)


def tracked(*patterns):
    # "safe.directory" lets a checkout owned by somebody else be read.
    out = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", *patterns],
                         cwd=ROOT, check=True, capture_output=True).stdout
    return [name for name in out.decode().split("\0") if name and (ROOT / name).exists()]


def c_files():
    return tracked("*.c", "*.h")


def check_format(_build):
    run = subprocess.run(["clang-format", "--dry-run", "--Werror", *c_files()], cwd=ROOT,
                         capture_output=True, text=True)
    return [] if not run.returncode else run.stderr.splitlines()[:60]


def tidy_one(build, name):
    # Flags of our own: the build's are gcc's. Generated headers come from the build folder.
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Iinclude", "-Isrc",
             f"-I{build}/src", f"-I{build}/src/jail"]
    run = subprocess.run(["clang-tidy", "--quiet", name, "--", *flags], cwd=ROOT,
                         capture_output=True, text=True)
    return [line for line in run.stdout.splitlines() if line] if run.returncode else []


def check_tidy(build):
    subprocess.run(["ninja", "-C", str(build)], check=True, stdout=subprocess.DEVNULL)
    names = [name for name in tracked("*.c") if name.startswith(TIDY_FOLDERS)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        lists = pool.map(lambda name: tidy_one(build, name), names)
        return [line for lines in lists for line in lines]


def without_comments(text):
    """The text with comments and strings blanked, its lines kept."""
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_banned(_build):
    found = []
    for name in c_files():
        if name.startswith(("tests/", "fuzz/")):
            continue
        text = without_comments((ROOT / name).read_text())
        for number, line in enumerate(text.splitlines(), 1):
            if match := BANNED.search(line):
                found.append(f"{name}:{number}: {match.group(1)}() is banned")
    return found


def check_sizes(_build):
    found = []
    for name in c_files() + tracked("*.py"):
        lines = len((ROOT / name).read_text().splitlines())
        limit = MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES
        if lines > limit:
            found.append(f"{name}: {lines} lines, at most {limit}")
    for name in tracked("*.c"):
        start = 0
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start > MAX_FUNCTION_LINES:
                    found.append(f"{name}:{start}: a function of {number - start} lines")
                start = 0
    return found


def check_opening_comment(_build):
    return [f"{name}: does not open with a comment" for name in c_files()
            if not (ROOT / name).read_text().startswith("/*")]


def check_python(_build):
    found = []
    for name in tracked("*.py"):
        try:
            ast.parse((ROOT / name).read_bytes(), name)
        except SyntaxError as error:
            found.append(f"{name}:{error.lineno}: {error.msg}")
    return found


def check_leftover_words(_build):
    word = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
    found = []
    for name in tracked("*.c", "*.h", "*.py", "*.sh", "*.md", "*.build"):
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if word.search(line):
                found.append(f"{name}:{number}: unfinished: {line.strip()[:80]}")
    return found


def check_man(_build):
    if not shutil.which("mandoc"):
        return ["mandoc is not installed"]
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *tracked("*.1")], cwd=ROOT,
                         capture_output=True, text=True)
    return run.stdout.splitlines()


CHECKS = {
    "format": check_format, "tidy": check_tidy, "banned": check_banned, "sizes": check_sizes,
    "opening": check_opening_comment, "python": check_python, "unfinished": check_leftover_words,
    "man": check_man,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    args = parser.parse_args()
    build = (ROOT / args.build).resolve()
    passed = failed = 0
    for name in args.checks or CHECKS:
        found = CHECKS[name](build)
        print(f"lint {name}: {'ok' if not found else 'FAILED'}", flush=True)
        for line in found:
            print(f"  {line}")
        passed += not found
        failed += bool(found)
    results = build / "results"
    results.mkdir(parents=True, exist_ok=True)
    (results / "lint.json").write_text(json.dumps(
        {"suite": "lint", "passed": passed, "failed": failed, "skipped": 0}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
