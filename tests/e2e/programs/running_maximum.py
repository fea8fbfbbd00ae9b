# The maximum so far, at each place.
from itertools import accumulate
result = list(accumulate([1, 2, 3, 2, 3, 4, -2, 9], max))
