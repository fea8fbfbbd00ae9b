# Digits in another base, by hand and checked.
def to_base(n, base):
    digits = ""
    while n:
        n, digit = divmod(n, base)
        digits = "0123456789abcdef"[digit] + digits
    return digits or "0"
result = [to_base(255, 16), to_base(8, 3), to_base(0, 2), int(to_base(987654, 7), 7)]
