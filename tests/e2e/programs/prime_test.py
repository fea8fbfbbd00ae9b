# Trial division.
def is_prime(n):
    if n < 2:
        return False
    factor = 2
    while factor * factor <= n:
        if n % factor == 0:
            return False
        factor += 1
    return True
result = [n for n in range(120) if is_prime(n)] + [is_prime(13441 * 3), is_prime(104729)]
