# By hand and by bisect.
from bisect import bisect
def find(items, wanted):
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(items) and items[low] == wanted else -1
items = list(range(0, 1000, 7))
result = [find(items, 700), find(items, 701), bisect(items, 50)]
