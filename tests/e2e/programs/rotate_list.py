# By steps, negative ones too.
def rotate(items, steps):
    steps %= len(items)
    return items[-steps:] + items[:-steps] if steps else items[:]
result = [rotate([1, 2, 3, 4, 5], n) for n in (0, 2, -1, 7)]
