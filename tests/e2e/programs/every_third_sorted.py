# Sorts the places divisible by three, leaves the others.
def sort_thirds(items):
    items = list(items)
    items[::3] = sorted(items[::3])
    return items
result = sort_thirds([5, 8, -12, 4, 23, 2, 3, 11, 12, -10])
