"""Figures of bulk work, each against plain python3 in turn: a ratio of 1 is its speed."""

import json
import pathlib
import tempfile

import measure

HERE = pathlib.Path(__file__).resolve().parent
JSON_ROWS = 1_600_000  # 100 MB as text
JSON_OUTSIDE = ("import json, sys; rows = json.loads(open(sys.argv[1]).read())['rows']; "
                "sys.stdout.write(json.dumps(rows))")
# asyncio makes its own socketpair; the default policy's list keeps a program from naming socket.
POLICY = {"imports": {"mode": "off"}, "limits": {"memory_bytes": 2 << 30, "wall_ms": 120_000}}


def ms(value):
    return f"{value:.1f} ms"


def ratio_row(what, inside, outside):
    """The ratio is that of the medians; p10 is less disturbed by what else the machine does."""
    tenth = [sorted(times)[len(times) // 10] for times in (inside, outside)]
    mine, plain = measure.median(inside), measure.median(outside)
    return (what, len(inside), ms(mine), ms(measure.p99(inside)), f"{mine / plain:.2f}",
            f"plain {ms(plain)}; at p10 {tenth[0] / tenth[1]:.2f}")


def write_json(folder, name, value):
    path = pathlib.Path(folder) / name
    with path.open("w") as file:
        json.dump(value, file)
    return str(path)


def programs(command, engine, scale):
    """The time that the program itself measures, so without the start of either side."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        policy = write_json(folder, "policy.json", POLICY)
        for program in sorted((HERE / "bulk").glob("*.py")):
            inside, outside = [], []
            for _ in range(5 * scale):
                plain_s, value = measure.run_plain(program)
                outside.append(plain_s * 1000)
                outcome = measure.call_json([command, "run", "--engine", engine, "--json",
                                             "--policy", policy, str(program)])
                if outcome["result"][1] != value:
                    raise RuntimeError(f"{program.name}: {outcome['result'][1]} is not {value}")
                inside.append(outcome["result"][0] * 1000)
            rows.append(ratio_row(f"bulk: {program.stem}", inside, outside))
    return rows


def big_json(command, engine, scale):
    """Both sides read a file, make objects of it, and write them as JSON to a pipe or /dev/null."""
    rows = [{"id": n, "name": f"name {n}", "score": n / 3} for n in range(JSON_ROWS)]
    with tempfile.TemporaryDirectory() as folder:
        policy = write_json(folder, "policy.json", POLICY)
        inputs = write_json(folder, "inputs.json", {"rows": rows})
        del rows
        size = pathlib.Path(inputs).stat().st_size
        outside, inside = measure.alternate(
            2 * scale + 1, ["/usr/bin/python3", "-I", "-c", JSON_OUTSIDE, inputs],
            [command, "run", "--engine", engine, "--policy", policy, "--result-limit", "512M",
             "--input", f"@{inputs}", "-c", "result = rows"])
    return [ratio_row(f"bulk: {size / 1e6:.0f} MB of JSON in and out", inside, outside)]
