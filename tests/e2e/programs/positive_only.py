# The positive ones, lazily.
def positive(numbers):
    yield from (number for number in numbers if number > 0)
result = list(positive([5, 3, -5, 2, -3, 3, 9, 0, 123, 1, -10]))
