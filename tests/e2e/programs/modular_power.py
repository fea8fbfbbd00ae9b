# Square and multiply against pow.
def power(base, exponent, modulus):
    out = 1
    while exponent:
        if exponent & 1:
            out = out * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return out
result = [power(3, 5, 5), power(2, 1101, 101), power(7, 10 ** 18, 10 ** 9 + 7) == pow(7, 10 ** 18, 10 ** 9 + 7)]
