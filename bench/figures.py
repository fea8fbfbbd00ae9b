"""One function for each figure; each gives rows of (what, n, median, p99, ratio, note)."""

import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import bulk
import measure

HERE = pathlib.Path(__file__).resolve().parent
NUMPY_RUN = "import numpy\na = numpy.ones((100, 100))\nresult = float((a @ a)[0, 0])"
NUMPY_REFERENCE = ["/usr/bin/python3", "-c", NUMPY_RUN]


def ms(value):
    return f"{value:.3f} ms"


def warm_tiny(command, engine, scale):
    n = 1000 * scale
    got = measure.call_json([command, "bench", "--engine", engine, "--phase", "latency", "-n",
                             str(n), "--reference", "--json"])
    note = (f"p90 {ms(got['p90_us'] / 1000)}, recycle {ms(got['recycle_us'] / 1000)}, "
            f"reference {ms(got['reference_us'] / 1000)}")
    return [("warm, tiny snippet", n, ms(got["p50_us"] / 1000), ms(got["p99_us"] / 1000),
             f"1/{got['reference_ratio']:.1f}", note)]


def warm_numpy(command, engine, scale):
    rounds, each = 4 * scale, 50
    runs, tails, reference = [], [], []
    for _ in range(rounds):
        got = measure.call_json([command, "bench", "--engine", engine, "--phase", "latency",
                                 "--preload", "numpy", "-n", str(each), "-c", NUMPY_RUN])
        runs.append(got["p50_us"] / 1000)
        tails.append(got["p99_us"] / 1000)
        reference += [measure.spawn_ms(NUMPY_REFERENCE) for _ in range(3)]
    mine, other = measure.median(runs), measure.median(reference)
    return [("warm, numpy 100 x 100 product", rounds * each, ms(mine), ms(max(tails)),
             f"1/{other / mine:.1f}", f"reference with import numpy {ms(other)}")]


def throughput(command, engine, _scale):
    got = measure.call_json([command, "bench", "--engine", engine, "--phase", "throughput"])
    return [("throughput", int(got["per_second"] * 5), f"{got['per_second']:.0f}/s", "-", "-",
             f"{got['inflight']} in flight, {got['pool']} ready in each")]


def cpu_set(command, engine, scale):
    inside, outside = 0.0, 0.0
    slowest = ("", 9.0)
    programs = sorted((HERE / "cpu").glob("*.py"))
    for program in programs:
        mine, plain = [], []
        for _ in range(2 * scale + 1):
            seconds, value = measure.run_plain(program)
            plain.append(seconds)
            outcome = measure.call_json([command, "run", "--engine", engine, "--json",
                                         str(program)])
            if outcome["result"][1] != value:
                raise RuntimeError(f"{program.name}: {outcome['result'][1]} is not {value}")
            mine.append(outcome["result"][0])
        inside += measure.median(mine)
        outside += measure.median(plain)
        slowest = min(slowest, (program.stem, measure.median(plain) / measure.median(mine)),
                      key=lambda pair: pair[1])
    return [("ten programs that compute", len(programs) * (2 * scale + 1), ms(inside * 1000), "-",
             f"{outside / inside:.3f}",
             f"plain {ms(outside * 1000)}; least {slowest[0]} {slowest[1]:.3f}")]


def cold(command, engine, scale):
    rivals = {"cold, run -c 'result=1'": [command, "run", "--engine", engine, "-c", "result=1"],
              "  python3 -I -S -c pass": measure.REFERENCE}
    cages = {"bwrap": ["--unshare-all", "--ro-bind", "/", "/"],
             "nsjail": ["-Q", "-Mo", "--chroot", "/", "--"]}
    for name, words in cages.items():
        if shutil.which(name):
            rivals[f"  {name} around the same"] = [shutil.which(name), *words, *measure.REFERENCE]
    times = dict(zip(rivals, measure.alternate(100 * scale, *rivals.values())))
    reference = measure.median(times["  python3 -I -S -c pass"])
    return [(name, len(taken), ms(measure.median(taken)), ms(measure.p99(taken)),
             f"{measure.median(taken) / reference:.2f}", "")
            for name, taken in times.items()]


def json_both_ways(command, engine, scale):
    rows = [{"id": n, "name": f"name {n}", "score": n / 3} for n in range(19_500)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"rows": rows}, file)
        file.flush()
        size = pathlib.Path(file.name).stat().st_size
        got = measure.call_json([command, "bench", "--engine", engine, "--phase", "latency",
                                 "-n", str(50 * scale), "--input", f"@{file.name}", "-c",
                                 "result = rows"])
    started = time.perf_counter()
    json.dumps(json.loads(json.dumps(rows)))
    plain = (time.perf_counter() - started) * 1000
    return [(f"{size / 1e6:.2f} MB of JSON in and out", 50 * scale, ms(got["p50_us"] / 1000),
             ms(got["p99_us"] / 1000), "-", f"json.dumps, loads, dumps outside {ms(plain)}")]


def ready_memory(command, engine, _scale):
    process = subprocess.Popen([command, "bench", "--engine", engine, "--phase", "latency", "-n",
                                "1", "--pool", "4", "-c", "import time; time.sleep(4)"],
                               stdout=subprocess.DEVNULL)
    try:
        time.sleep(2.5)
        sizes = []
        for pid in measure.ready_instances():
            try:
                sizes.append(measure.private_kib(pid))
            except OSError:
                continue
    finally:
        process.kill()
        process.wait()
    if not sizes:
        return [("private memory of a ready child", 0, "-", "-", "-", "no pid namespace here")]
    return [("private memory of a ready child", len(sizes), f"{measure.median(sizes):.0f} KiB",
             f"{max(sizes)} KiB", "-", "Private_Clean + Private_Dirty")]


def growth(command, engine, _scale):
    process = subprocess.Popen([command, "bench", "--engine", engine, "--phase", "latency", "-n",
                                "10000"], stdout=subprocess.DEVNULL)
    samples = []
    while process.poll() is None:
        time.sleep(1)
        samples.append(measure.totals())
    if process.returncode:
        raise RuntimeError(f"bench -n 10000: exit {process.returncode}")
    samples = samples[2:-2] or samples
    head, tail = samples[:len(samples) // 3 + 1], samples[-(len(samples) // 3 + 1):]
    rows = []
    for key in ("processes", "descriptors", "pss_kib", "mounts"):
        first = measure.median([sample[key] for sample in head])
        last = measure.median([sample[key] for sample in tail])
        rows.append((f"10,000 runs: {key}", len(samples), f"{last:.0f}", "-",
                     f"{last - first:+.0f}", f"first third {first:.0f}"))
    return rows


ALL = {
    "warm-tiny": warm_tiny, "warm-numpy": warm_numpy, "throughput": throughput, "cpu": cpu_set,
    "cold": cold, "json": json_both_ways, "memory": ready_memory, "growth": growth,
    "bulk": bulk.programs, "bulk-json": bulk.big_json,
}
