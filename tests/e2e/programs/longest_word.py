# The first of the longest words, or nothing.
def longest(words):
    return max(words, key=len) if words else None
result = [longest([]), longest(["x", "yy", "zz"]), longest("to be or not".split())]
