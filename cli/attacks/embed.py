"""Turns the attack programs into C: one array of bytes for each file, with a NUL at its end.

usage: embed.py OUTPUT.c FILE.py...
"""
import pathlib
import sys

ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def literal(line):
    return '\t"' + "".join(ESCAPES.get(letter, letter) for letter in line) + '"'


def array(path):
    lines = path.read_text("ascii").splitlines(keepends=True)
    return f"const char attack_{path.stem}[] =\n" + "\n".join(map(literal, lines)) + ";\n"


def main():
    output, *names = sys.argv[1:]
    parts = ["/* Made by embed.py. */\n#include \"doctor_attack.h\"\n"]
    pathlib.Path(output).write_text("\n".join(parts + [array(pathlib.Path(name)) for name in names]))


if __name__ == "__main__":
    main()
