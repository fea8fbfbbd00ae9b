# To the unit interval.
def rescale(values):
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values]
result = rescale([2.0, 49.9, 10.0, 33.25])
