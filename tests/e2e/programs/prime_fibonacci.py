# Fibonacci numbers that are prime.
def fibonacci():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b
def prime(n):
    return n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))
found = []
for number in fibonacci():
    if prime(number):
        found.append(number)
    if len(found) == 9:
        break
result = found
