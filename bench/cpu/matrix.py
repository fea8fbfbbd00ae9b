"""Multiply matrices held in lists."""
import time


def multiply(a, b):
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def work(size=200):
    a = [[(i * j) % 7 + 0.5 for j in range(size)] for i in range(size)]
    return round(sum(map(sum, multiply(a, a))), 3)


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
