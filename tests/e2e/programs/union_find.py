# How many islands of friends.
parent = list(range(10))
def find(x):
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x
for a, b in [(0, 1), (1, 2), (3, 4), (5, 6), (6, 3), (8, 9)]:
    parent[find(a)] = find(b)
result = len({find(x) for x in range(10)})
