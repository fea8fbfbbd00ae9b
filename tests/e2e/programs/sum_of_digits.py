# The digits of a number, added until one is left.
def digital_root(number):
    while number > 9:
        number = sum(int(digit) for digit in str(number))
    return number
result = [digital_root(n) for n in (0, 9, 38, 493193, 10 ** 30 - 1)]
