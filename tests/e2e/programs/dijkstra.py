# Shortest ways in a small graph.
import heapq
graph = {"a": {"b": 7, "c": 9, "f": 14}, "b": {"c": 10, "d": 15}, "c": {"d": 11, "f": 2},
         "d": {"e": 6}, "e": {}, "f": {"e": 9}}
def distances(start):
    known, heap = {}, [(0, start)]
    while heap:
        cost, node = heapq.heappop(heap)
        if node not in known:
            known[node] = cost
            for other, step in graph[node].items():
                heapq.heappush(heap, (cost + step, other))
    return known
result = distances("a")
