"""What the audit log costs a warm run: sandboxes without one and with each way to keep it take turns,
so that the machine's moods meet all of them alike. Prints the tenth percentile, which other work on
the machine disturbs least, and the median."""
import argparse
import ctypes
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import psbcapi  # noqa: E402

WAYS = {"no log": None, "log": {}, "log with a key": {"key": True}, "sync accepted": {"sync": 1},
        "sync all": {"sync": 2}}


class Audit(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("file", ctypes.c_char_p), ("key_file", ctypes.c_char_p),
                ("rotate_bytes", ctypes.c_uint64), ("sync", ctypes.c_uint32),
                ("keep_code", ctypes.c_uint32), ("optional", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32)]


def open_sandbox(name, folder):
    way = WAYS[name]
    if way is None:
        return psbcapi.Sandbox(pool_size=2)
    key = Path(folder) / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    audit = Audit(size=ctypes.sizeof(Audit), file=str(Path(folder) / name).encode(),
                  key_file=str(key).encode() if way.get("key") else None, sync=way.get("sync", 0))
    return psbcapi.Sandbox(pool_size=2, audit=ctypes.addressof(audit))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--folder", help="where the logs are written: on the disk to be measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        times = {name: [] for name in WAYS}
        boxes = {}
        for name in WAYS:
            boxes[name] = open_sandbox(name, folder)
            boxes[name].warm()
        for _ in range(args.n):
            for name, box in boxes.items():
                started = time.perf_counter()
                box.execute("result = 1")
                times[name].append((time.perf_counter() - started) * 1e6)
        for box in boxes.values():
            box.close()
    print(f"{'':<18}{'p10 us':>8}{'more':>8}{'ratio':>8}{'p50 us':>10}")
    fast = {name: statistics.quantiles(taken, n=10)[0] for name, taken in times.items()}
    for name, taken in times.items():
        more = fast[name] - fast["no log"]
        print(f"{name:<18}{fast[name]:8.0f}{more:+8.0f}{fast[name] / fast['no log']:8.2f}"
              f"{statistics.median(taken):10.0f}")


if __name__ == "__main__":
    main()
