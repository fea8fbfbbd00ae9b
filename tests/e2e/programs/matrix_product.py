# By hand, and its transpose.
def product(a, b):
    return [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]
a, b = [[1, 2], [3, 4], [5, 6]], [[7, 8, 9], [10, 11, 12]]
result = [product(a, b), [list(row) for row in zip(*a)]]
