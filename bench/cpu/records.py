"""Encode and decode JSON of nested records."""
import json
import time


def work():
    records = [{"id": n, "name": f"n{n}", "tags": ["a", "b", str(n)], "score": n / 7}
               for n in range(12_000)]
    for _ in range(5):
        records = json.loads(json.dumps(records))
    return round(sum(record["score"] for record in records), 3)


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
