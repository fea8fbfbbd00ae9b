# The same set of characters.
def same(a, b):
    return set(a) == set(b)
result = [same("eabcdzzzz", "dddzzzzzzzddeddabc"), same("abcd", "dddddddabce")]
