# Solved by trying the cell with the fewest choices.
grid = [[int(c) for c in row] for row in (
    "530070000", "600195000", "098000060", "800060003", "400803001", "700020006", "060000280",
    "000419005", "000080079")]
def choices(r, c):
    used = set(grid[r]) | {row[c] for row in grid}
    used |= {grid[i][j] for i in range(r // 3 * 3, r // 3 * 3 + 3) for j in range(c // 3 * 3, c // 3 * 3 + 3)}
    return [n for n in range(1, 10) if n not in used]
def solve():
    open_cells = [(len(choices(r, c)), r, c) for r in range(9) for c in range(9) if not grid[r][c]]
    if not open_cells:
        return True
    _, r, c = min(open_cells)
    for number in choices(r, c):
        grid[r][c] = number
        if solve():
            return True
    grid[r][c] = 0
    return False
solve()
result = ["".join(map(str, row)) for row in grid]
