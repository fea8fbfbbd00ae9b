"""Escape times over a grid: complex arithmetic."""
import time


def work(size=320, most=150):
    total = 0
    for row in range(size):
        for column in range(size):
            c = complex(3 * column / size - 2.2, 2.4 * row / size - 1.2)
            z = 0j
            for count in range(most):
                if abs(z) > 2:
                    break
                z = z * z + c
            total += count
    return total


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
