# The deepest nesting of each group of brackets.
def depth(group):
    level = best = 0
    for char in group:
        level += 1 if char == "(" else -1
        best = max(best, level)
    return best
result = [depth(group) for group in "(()()) ((())) () ((())()())".split()]
