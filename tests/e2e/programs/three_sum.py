# Three different places that add up to zero.
def triples(numbers):
    numbers = sorted(numbers)
    for i, a in enumerate(numbers):
        low, high = i + 1, len(numbers) - 1
        while low < high:
            total = a + numbers[low] + numbers[high]
            if total == 0:
                return True
            low, high = (low + 1, high) if total < 0 else (low, high - 1)
    return False
result = [triples([1, 3, 5, 0]), triples([1, 3, -2, 1]), triples([2, 4, -5, 3, 9, 7])]
