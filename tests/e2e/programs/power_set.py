# By bits.
items = ["x", "y", "z"]
result = [[item for at, item in enumerate(items) if mask >> at & 1] for mask in range(8)]
