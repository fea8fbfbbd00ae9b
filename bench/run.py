"""Measures every figure and prints them as a table. Nothing is asserted: machines differ.

A ratio is to /usr/bin/python3 -I -S -c pass in an empty environment, measured in turn with the
figure itself, unless the note says otherwise.
"""

import argparse
import json
import pathlib
import sys

import figures
import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = ("what", "n", "median", "p99", "ratio", "note")


def show(rows):
    widths = [max(len(str(row[i])) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS))]
    for row in [COLUMNS, *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", default=str(ROOT / "build" / "pysandbox"))
    parser.add_argument("--engine", default="native")
    parser.add_argument("--scale", type=int, default=1, help="multiplies the number of samples")
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(figures.ALL))
    args = parser.parse_args()
    command = str(pathlib.Path(args.command).resolve())
    unknown = [name for name in args.figures if name not in figures.ALL]
    if unknown:
        parser.error(f"unknown figure {unknown[0]}; there are {', '.join(figures.ALL)}")

    measure.inherit_orphans()
    machine = measure.machine()
    rows, failed = [], False
    for name in args.figures or figures.ALL:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            rows += figures.ALL[name](command, args.engine, args.scale)
        except (RuntimeError, OSError) as error:
            failed = True
            rows.append((name, 0, "-", "-", "-", f"failed: {error}"[:200]))
    print(machine)
    show(rows)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(
            {"machine": machine, "rows": [dict(zip(COLUMNS, row)) for row in rows]}, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
