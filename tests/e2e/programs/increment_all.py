# One more each.
result = [n + 1 for n in (5, 3, 5, 2, 3, 3, 9, 0, 123, -1)]
