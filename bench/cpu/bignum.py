"""Digits of a large power and a factorial: long integers and hashing."""
import hashlib
import time


def work():
    number = 1
    for n in range(1, 12000):
        number *= n
    digest = b""
    for _ in range(200_000):
        digest = hashlib.sha256(digest + b"x").digest()
    return [number % 1_000_000_007, pow(3, 200_000) % 1_000_003, digest.hex()[:16]]


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
