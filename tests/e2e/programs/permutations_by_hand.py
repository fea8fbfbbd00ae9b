# Against itertools.
from itertools import permutations
def arrange(items):
    if not items:
        return [[]]
    return [[item, *rest] for at, item in enumerate(items) for rest in arrange(items[:at] + items[at + 1:])]
result = [arrange([1, 2, 3]), arrange(list("abcd")) == [list(p) for p in permutations("abcd")]]
