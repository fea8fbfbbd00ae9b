# The best worth for a weight.
def best(items, capacity):
    worth = [0] * (capacity + 1)
    for weight, value in items:
        for room in range(capacity, weight - 1, -1):
            worth[room] = max(worth[room], worth[room - weight] + value)
    return worth[capacity]
result = best([(12, 4), (2, 2), (1, 1), (1, 2), (4, 10)], 15)
