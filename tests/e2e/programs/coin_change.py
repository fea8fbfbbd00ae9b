# The fewest coins, or None; and the number of ways.
def fewest(coins, amount):
    best = [0] + [None] * amount
    for total in range(1, amount + 1):
        options = [best[total - c] for c in coins if c <= total and best[total - c] is not None]
        best[total] = min(options) + 1 if options else None
    return best[amount]
ways = [1] + [0] * 100
for coin in (1, 5, 10, 25, 50):
    for total in range(coin, 101):
        ways[total] += ways[total - coin]
result = [fewest([1, 5, 10, 25], 63), fewest([5, 10], 3), ways[100]]
