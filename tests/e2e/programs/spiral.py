# A matrix read in a spiral.
def spiral(matrix):
    out = []
    while matrix:
        out += matrix[0]
        matrix = [list(row) for row in zip(*matrix[1:])][::-1]
    return out
result = spiral([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
