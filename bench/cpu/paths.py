"""Shortest paths on a grid: heaps, tuples, sets."""
import heapq
import time


def work(size=400):
    queue = [(0, 0, 0)]
    done = set()
    while queue:
        cost, x, y = heapq.heappop(queue)
        if (x, y) in done:
            continue
        done.add((x, y))
        if x == y == size - 1:
            return cost
        for nx, ny in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if 0 <= nx < size and 0 <= ny < size and (nx, ny) not in done:
                heapq.heappush(queue, (cost + (nx * 7 + ny * 13) % 10 + 1, nx, ny))
    return None


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
