# Euclid, and the least common multiple from it.
import math
def gcd(a, b):
    while b:
        a, b = b, a % b
    return abs(a)
pairs = [(3, 7), (10, 15), (49, 14), (144, 60), (0, 5)]
result = [(gcd(a, b), gcd(a, b) == math.gcd(a, b), math.lcm(a, b)) for a, b in pairs]
