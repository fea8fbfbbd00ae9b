"""Count the solutions of the queens problem with bit masks."""
import time


def place(size, columns=0, left=0, right=0):
    full = (1 << size) - 1
    if columns == full:
        return 1
    count = 0
    free = full & ~(columns | left | right)
    while free:
        bit = free & -free
        free ^= bit
        count += place(size, columns | bit, (left | bit) << 1 & full, (right | bit) >> 1)
    return count


started = time.perf_counter()
value = place(11)
result = [time.perf_counter() - started, value]
