# All of them?
result = [all(n < 100 for n in [1, 2, 4, 10]), all(n < 5 for n in [1, 20, 4, 10]), all([])]
