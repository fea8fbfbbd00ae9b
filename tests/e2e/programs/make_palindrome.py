# The shortest palindrome that begins with the text.
def complete(text):
    for start in range(len(text) + 1):
        tail = text[start:]
        if tail == tail[::-1]:
            return text + text[:start][::-1]
result = [complete(text) for text in ("", "cat", "cata", "racecar", "xyx")]
