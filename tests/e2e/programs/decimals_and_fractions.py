# Exact money and exact thirds.
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from fractions import Fraction
getcontext().prec = 30
total = sum([Decimal("0.10")] * 3)
result = [str(total), str(Decimal(2).sqrt()), str(Decimal("2.675").quantize(Decimal("0.01"), ROUND_HALF_EVEN)),
          str(Fraction(1, 3) + Fraction(1, 6)), 0.1 + 0.1 + 0.1 == 0.3]
