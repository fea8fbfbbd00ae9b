# Sevens among multiples of 11 or 13.
def sevens(limit):
    return sum(str(n).count("7") for n in range(limit) if n % 11 == 0 or n % 13 == 0)
result = [sevens(50), sevens(78), sevens(5000)]
