# Bisection for a root of a polynomial.
def value(coefficients, x):
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
def root(coefficients, low=-100.0, high=100.0):
    for _ in range(200):
        middle = (low + high) / 2
        if value(coefficients, low) * value(coefficients, middle) <= 0:
            high = middle
        else:
            low = middle
    return round(low, 8)
result = [root([-6, 11, -6, 1], 2.5, 10.0), root([1, 2])]
