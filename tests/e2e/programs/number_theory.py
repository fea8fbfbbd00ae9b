# Totients, perfect numbers, inverse.
import math
def totient(n):
    return sum(math.gcd(n, k) == 1 for k in range(1, n + 1))
perfect = [n for n in range(2, 1000) if sum(d for d in range(1, n) if n % d == 0) == n]
result = [[totient(n) for n in range(1, 13)], perfect, pow(3, -1, 11), math.comb(40, 20)]
