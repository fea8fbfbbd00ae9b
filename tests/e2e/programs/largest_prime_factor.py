# Divides them out.
def largest(n):
    factor, best = 2, 1
    while n > 1:
        while n % factor == 0:
            best, n = factor, n // factor
        factor += 1
    return best
result = [largest(n) for n in (15, 27, 63, 330, 13195, 2048)]
