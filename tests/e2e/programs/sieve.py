# Eratosthenes with slices of a bytearray.
def primes(limit):
    marks = bytearray([1]) * limit
    marks[:2] = b"\0\0"
    for n in range(2, int(limit ** 0.5) + 1):
        if marks[n]:
            marks[n * n::n] = bytes(len(range(n * n, limit, n)))
    return [n for n in range(limit) if marks[n]]
found = primes(100000)
result = [len(found), found[-1], sum(found)]
