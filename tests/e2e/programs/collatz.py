# The longest chain below a bound, remembered.
from functools import lru_cache
@lru_cache(maxsize=None)
def length(n):
    return 1 if n == 1 else 1 + length(n // 2 if n % 2 == 0 else 3 * n + 1)
result = max((length(n), n) for n in range(1, 3000))
