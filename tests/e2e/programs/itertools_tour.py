# Grouping, products, windows.
from itertools import chain, combinations, compress, cycle, groupby, islice, pairwise, product, zip_longest
runs = [(key, len(list(group))) for key, group in groupby("aaabbcaa")]
result = [runs, list(islice(cycle("xy"), 5)), list(pairwise([1, 2, 4])), list(zip_longest([1, 2], [3])),
          len(list(product("ab", repeat=3))), list(compress("abcd", [1, 0, 1, 0])),
          ["".join(c) for c in combinations("abc", 2)], list(chain([1], [2, 3]))]
