# Several keys, one of them descending.
people = [("Ann", 30), ("Bob", 25), ("Cat", 30), ("Dan", 25)]
result = sorted(people, key=lambda p: (-p[1], p[0]))
