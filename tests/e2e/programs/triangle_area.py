# Heron, or -1 where there is no triangle.
def area(a, b, c):
    if a + b <= c or a + c <= b or b + c <= a:
        return -1
    s = (a + b + c) / 2
    return round((s * (s - a) * (s - b) * (s - c)) ** 0.5, 2)
result = [area(3, 4, 5), area(1, 2, 10), area(4, 8, 5)]
