# What is right of the point.
def fraction(number):
    return number - int(number)
result = [round(fraction(x), 6) for x in (3.5, 1.25, 123.0, 0.000001)]
