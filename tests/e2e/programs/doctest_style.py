# assert statements that hold.
def clamp(value, low, high):
    return max(low, min(value, high))
assert clamp(5, 0, 3) == 3 and clamp(-1, 0, 3) == 0
def check(candidate):
    assert candidate(2, 1, 3) == 2
    assert candidate(9, 1, 3) == 3, "upper"
check(clamp)
result = "passed"
