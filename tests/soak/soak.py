"""Many executions with random ends through one sandbox: each outcome is right, nothing grows.

soak.py [-n EXECUTIONS] [--engine E] [--pool N] [--tiny SHARE]: prints one JSON object, exits 1 when an outcome was
wrong or something grew. Programs are submitted as instances come free; some are cancelled. What is
counted is the library's process (descriptors, resident memory), the processes below and the
mounts. With --tiny 0.9 nine of ten are the first, tiny program. A first part fills caches and allocators; growth is what comes after it.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
sys.path.insert(0, str(ROOT / "bench"))
import measure  # noqa: E402
import psbcapi  # noqa: E402

POLICY = '{"imports": {"mode": "off"}}'
# (weight, program, limits of the call, statuses that are right). A crowded machine may turn what is
# close to a limit into a timeout.
ENDS = (
    (40, "result = sum(range(n))", None, {"ok"}),
    (10, "print('x' * n)\nresult = {'a': [1, 2.5, None]}", None, {"ok"}),
    (8, "raise ValueError(n)", None, {"error"}),
    (4, "def f(:", None, {"error"}),
    (6, "import sys\nsys.exit(3)", None, {"exit"}),
    (4, "import os\nos._exit(4)", None, {"exit"}),
    (4, "import os\nos.abort()", None, {"crash"}),
    (3, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", None, {"crash"}),
    (4, "print('y' * 300000)", {"stdout_bytes": 100000}, {"output_limit"}),
    (3, "result = 'z' * 300000", {"result_bytes": 100000}, {"result_limit"}),
    (3, "while True: pass", {"wall_ms": 40}, {"timeout"}),
    (2, "import time\ntime.sleep(30)", {"wall_ms": 40}, {"timeout"}),
    (2, "x = bytearray(10 ** 10)", None, {"error"}),
    (3, "open('f', 'w').write('w' * 50000)\nresult = len(open('f').read())", None, {"ok"}),
    (2, "import threading\nfor _ in range(4): threading.Thread(target=print, args=(1,)).start()",
     None, {"ok"}),
)
NATIVE_ENDS = (
    (2, "import os\nif os.fork() == 0:\n    while True: pass\nresult = 1", None, {"ok", "error"}),
    (2, "import ctypes\nctypes.CDLL(None).unshare(0x10000000)", None, {"denied"}),
)
CANCELLED_OF = 25  # one in so many is cancelled


def look():
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident_kib": int(measure.status_field(os.getpid(), "VmRSS")[0]),
        "processes": len(measure.descendants()),
        "mounts": len(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()),
    }


class Soak:
    def __init__(self, arguments):
        ends = ENDS + (NATIVE_ENDS if arguments.engine == "native" else ())
        self.total = arguments.n
        self.weights = [end[0] for end in ends]
        self.tiny = arguments.tiny
        self.ends = ends
        self.waiting = {}
        self.statuses = collections.Counter()
        self.wrong = []
        self.random = random.Random(arguments.seed)
        self.window = arguments.pool * 2
        self.sandbox = psbcapi.Sandbox(engine=arguments.engine, policy=POLICY,
                                       pool_size=arguments.pool)

    def submit(self):
        end = (self.ends[0] if self.random.random() < self.tiny
               else self.random.choices(self.ends, self.weights)[0])
        _, program, limits, right = end
        job = self.sandbox.submit(program, {"n": self.random.randrange(1000)}, limits=limits)
        if self.random.random() >= self.tiny and self.random.randrange(CANCELLED_OF) == 0:
            self.sandbox.cancel(job)
            right = right | {"cancelled"}
        self.waiting[job] = (program, right)

    def take(self):
        assert self.sandbox.readable(60), f"nothing came for a minute; waiting: {self.waiting}"
        while (got := self.sandbox.next()):
            job, outcome = got
            program, right = self.waiting.pop(job)
            self.statuses[outcome["status"]] += 1
            if outcome["status"] not in right and len(self.wrong) < 20:
                self.wrong.append({"program": program, "status": outcome["status"],
                                   "error": outcome["error"]})

    def part(self, count):
        """Runs `count`, then waits until all is quiet and looks."""
        left = count
        while left or self.waiting:
            while left and len(self.waiting) < self.window:
                self.submit()
                left -= 1
            self.take()
        self.fill()
        self.sandbox.warm(self.window // 2)
        return look()

    def fill(self):
        """Has every place in the pool taken, so that looks can be compared: a worker that ended badly is
        replaced only when one is wanted."""
        jobs = {self.sandbox.submit("import time\ntime.sleep(0.05)") for _ in range(2 * self.window)}
        outcomes = self.sandbox.outcomes(len(jobs))
        assert {outcome["status"] for outcome in outcomes.values()} == {"ok"}, outcomes

    def run(self):
        first = self.part(self.total // 5)
        samples = [self.part(self.total // 5) for _ in range(4)]
        self.sandbox.close()
        return first, samples


def growth_of(first, samples):
    """Memory may move by an allocator's step, counts not at all."""
    grown = {}
    for key, start in first.items():
        least = min(sample[key] for sample in samples[-2:])
        if least > start + (2048 if key == "resident_kib" else 0):
            grown[key] = [start, *(sample[key] for sample in samples)]
    return grown


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200_000)
    parser.add_argument("--engine", default="native")
    parser.add_argument("--pool", type=int, default=4)
    parser.add_argument("--tiny", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    measure.inherit_orphans()
    before = look()
    soak = Soak(arguments)
    first, samples = soak.run()
    grown = growth_of(first, samples)
    print(json.dumps({"executions": sum(soak.statuses.values()), "seed": arguments.seed,
                      "statuses": soak.statuses, "wrong": soak.wrong, "grown": grown,
                      "first": first, "last": samples[-1], "before": before}))
    sys.exit(1 if soak.wrong or grown else 0)


main()
