# Its length by patience sorting.
from bisect import bisect_left
def longest(values):
    tails = []
    for value in values:
        at = bisect_left(tails, value)
        tails[at:at + 1] = [value]
    return len(tails)
result = [longest([10, 9, 2, 5, 3, 7, 101, 18]), longest([7, 7, 7]), longest([])]
