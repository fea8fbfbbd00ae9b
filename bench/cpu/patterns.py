"""Search and replace with regular expressions."""
import re
import time


def work():
    lines = [f"2024-{n % 12 + 1:02}-{n % 28 + 1:02} host{n % 50} took {n * 37 % 1000} ms"
             for n in range(60_000)]
    pattern = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\w+) took (\d+) ms")
    total = sum(int(pattern.match(line).group(5)) for line in lines)
    swapped = pattern.sub(r"\3.\2.\1 \4", "\n".join(lines))
    return [total, len(swapped)]


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
