# Drops what is no int, and no bool either.
def integers(values):
    return [value for value in values if type(value) is int]
result = integers(["a", 3.14, 5, True, [], 0, None, -7])
