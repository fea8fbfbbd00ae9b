# Caesar's cipher.
def shift(text, by):
    return "".join(chr((ord(c) - 97 + by) % 26 + 97) if c.islower() else c for c in text)
result = [shift("hello, world", 5), shift(shift("hello, world", 5), -5)]
