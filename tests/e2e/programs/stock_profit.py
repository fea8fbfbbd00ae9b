# One purchase, one sale.
def profit(prices):
    best, low = 0, float("inf")
    for price in prices:
        low = min(low, price)
        best = max(best, price - low)
    return best
result = [profit([7, 1, 5, 3, 6, 4]), profit([7, 6, 4, 3, 1])]
