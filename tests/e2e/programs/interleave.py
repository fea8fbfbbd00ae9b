# A separator between neighbours.
def between(items, separator):
    out = []
    for item in items:
        out += [item, separator]
    return out[:-1]
result = [between([1, 2, 3], 4), between([], 7), between([9], 0)]
