# Two numbers that cancel.
def cancel(numbers):
    seen = set()
    for number in numbers:
        if -number in seen:
            return True
        seen.add(number)
    return False
result = [cancel([1, 3, 5, 0]), cancel([2, 4, -5, 3, 5, 7]), cancel([0, 0])]
