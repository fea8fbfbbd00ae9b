# Words of the same letters.
from collections import defaultdict
groups = defaultdict(list)
for word in "listen silent enlist google elgoog cat act tac".split():
    groups["".join(sorted(word))].append(word)
result = sorted(groups.values())
