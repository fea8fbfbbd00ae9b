# Does an account ever go under zero?
from itertools import accumulate
def overdrawn(moves):
    return any(balance < 0 for balance in accumulate(moves))
result = [overdrawn([1, 2, 3]), overdrawn([1, -4, 5]), overdrawn([])]
