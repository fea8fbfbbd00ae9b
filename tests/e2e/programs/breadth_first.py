# The steps through a maze.
from collections import deque
maze = ["S.#.", "..#.", "#...", "..#E"]
def steps():
    queue, seen = deque([(0, 0, 0)]), {(0, 0)}
    while queue:
        row, column, count = queue.popleft()
        if maze[row][column] == "E":
            return count
        for r, c in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if 0 <= r < 4 and 0 <= c < 4 and maze[r][c] != "#" and (r, c) not in seen:
                seen.add((r, c))
                queue.append((r, c, count + 1))
result = steps()
