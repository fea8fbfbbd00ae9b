# Places, by a dict.
def two_sum(numbers, target):
    seen = {}
    for at, number in enumerate(numbers):
        if target - number in seen:
            return [seen[target - number], at]
        seen[number] = at
result = [two_sum([2, 7, 11, 15], 9), two_sum([3, 3], 6), two_sum([1], 5)]
