# Is there a pair of readings nearer to each other than a tolerance?
def has_near_pair(readings, tolerance):
    ordered = sorted(readings)
    return any(b - a < tolerance for a, b in zip(ordered, ordered[1:]))
print(has_near_pair([1.0, 2.8, 3.0, 4.0], 0.3))
result = [has_near_pair([1, 5, 9], 1), has_near_pair([1, 5, 5.5], 1), has_near_pair([], 1)]
