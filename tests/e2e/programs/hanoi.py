# The moves of four discs.
def moves(n, a="A", b="B", c="C"):
    return [] if n == 0 else moves(n - 1, a, c, b) + [a + c] + moves(n - 1, b, a, c)
result = [len(moves(10)), moves(4)]
