# Most frequent first, then by the alphabet.
from collections import Counter
text = "the cat and the dog and the bird"
counts = Counter(text.split())
for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
    print(f"{word:<6}{count:>3}")
result = dict(counts)
