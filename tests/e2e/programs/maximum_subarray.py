# Its sum and where it is.
def maximum(values):
    best, start, total, at = values[0], (0, 1), 0, 0
    for end, value in enumerate(values, 1):
        if total <= 0:
            total, at = 0, end - 1
        total += value
        if total > best:
            best, start = total, (at, end)
    return [best, *start]
result = [maximum([-2, 1, -3, 4, -1, 2, 1, -5, 4]), maximum([-3, -1, -2])]
