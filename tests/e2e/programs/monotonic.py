# Never up and down.
def monotonic(values):
    return values in (sorted(values), sorted(values, reverse=True))
result = [monotonic([1, 2, 4, 20]), monotonic([1, 20, 4, 10]), monotonic([4, 1, 0, -10])]
