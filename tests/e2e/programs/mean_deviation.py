# Mean absolute deviation around the mean.
def deviation(values):
    mean = sum(values) / len(values)
    return sum(abs(value - mean) for value in values) / len(values)
result = deviation([1.0, 2.0, 3.0, 4.0])
print(f"{result:.4f}")
