# Factorials, powers, bit lengths.
import math
result = [math.factorial(50), 2 ** 200, (3 ** 100).bit_length(), math.isqrt(10 ** 40), -7 // 2, -7 % 3, divmod(-7, -2)]
