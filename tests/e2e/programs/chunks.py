# Of equal size, the last may be shorter.
result = [list(range(10))[at:at + 4] for at in range(0, 10, 4)]
