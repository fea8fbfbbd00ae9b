# Against sorted, on a fixed scramble.
def merge_sort(items):
    if len(items) < 2:
        return items
    half = len(items) // 2
    left, right, out = merge_sort(items[:half]), merge_sort(items[half:]), []
    while left and right:
        out.append((left if left[0] <= right[0] else right).pop(0))
    return out + left + right
numbers = [(n * 7919) % 503 for n in range(500)]
result = merge_sort(numbers) == sorted(numbers)
