# From the shortest to the longest.
def prefixes(text):
    return [text[:end] for end in range(1, len(text) + 1)]
result = prefixes("snake")
