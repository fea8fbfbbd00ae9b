# Both ways, for a year and for all numbers up to 200.
PARTS = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
         (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
def roman(n):
    out = ""
    for value, sign in PARTS:
        out += sign * (n // value)
        n %= value
    return out
def arabic(text):
    value = {sign: number for number, sign in PARTS}
    numbers = [value[char] for char in text]
    return sum(-n if n < m else n for n, m in zip(numbers, numbers[1:] + [0]))
result = [roman(1994), arabic("MCMXCIV"), all(arabic(roman(n)) == n for n in range(1, 200))]
