# The sum and the product of a list, in one pass.
from functools import reduce
def both(numbers):
    return reduce(lambda pair, n: (pair[0] + n, pair[1] * n), numbers, (0, 1))
result = [both([]), both([1, 2, 3, 4]), both(range(1, 30))]
