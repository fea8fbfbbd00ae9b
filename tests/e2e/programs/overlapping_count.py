# Occurrences of a piece, overlapping ones too.
def count(text, piece):
    return sum(text.startswith(piece, at) for at in range(len(text)))
result = [count("aaaa", "aa"), count("banana", "ana"), count("", "a")]
