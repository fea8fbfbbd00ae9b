# Each number is the sum of the four before.
def fib4(n):
    window = [0, 0, 2, 0]
    for _ in range(n):
        window = window[1:] + [sum(window)]
    return window[0]
result = [fib4(n) for n in range(15)] + [fib4(200)]
