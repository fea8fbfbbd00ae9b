# The k-th smallest.
def select(items, k):
    pivot = items[len(items) // 2]
    low = [x for x in items if x < pivot]
    same = items.count(pivot)
    if k < len(low):
        return select(low, k)
    if k < len(low) + same:
        return pivot
    return select([x for x in items if x > pivot], k - len(low) - same)
items = [9, 1, 8, 2, 7, 3, 7, 3]
result = [select(items, k) for k in range(len(items))]
