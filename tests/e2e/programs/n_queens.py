# All ways for six, the number for seven.
def queens(size, row=0, columns=(), up=(), down=()):
    if row == size:
        yield list(columns)
        return
    for column in range(size):
        if column not in columns and row + column not in up and row - column not in down:
            yield from queens(size, row + 1, (*columns, column), (*up, row + column),
                              (*down, row - column))
result = [list(queens(6)), sum(1 for _ in queens(7))]
