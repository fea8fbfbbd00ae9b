# Nested ones, conditions, and assignment on the way.
table = {(x, y): x * y for x in range(3) for y in range(3) if (p := x * y) % 2 == 0}
flat = [item for row in [[1, 2], [3], []] for item in row]
result = [len(table), p, flat, sorted({len(w) for w in "a bb cc ddd".split()})]
