# Words for digits, sorted by their value.
NAMES = "zero one two three four five six seven eight nine".split()
def ordered(text):
    return " ".join(sorted(text.split(), key=NAMES.index))
result = ordered("three one five nine zero")
