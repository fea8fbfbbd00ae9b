"""Sieve of Eratosthenes over a bytearray."""
import time


def work(limit=5_000_000):
    sieve = bytearray([1]) * (limit + 1)
    sieve[0:2] = b"\0\0"
    for n in range(2, int(limit ** 0.5) + 1):
        if sieve[n]:
            sieve[n * n::n] = bytes(len(range(n * n, limit + 1, n)))
    return sum(n for n in range(limit + 1) if sieve[n]) % 1_000_007


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
