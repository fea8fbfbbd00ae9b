# The two values nearest to each other.
from itertools import combinations
def closest(values):
    return sorted(min(combinations(values, 2), key=lambda pair: abs(pair[0] - pair[1])))
result = closest([1.0, 2.0, 3.0, 4.0, 5.0, 2.2])
