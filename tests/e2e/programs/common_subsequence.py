# The longest, itself.
def common(a, b):
    table = [[""] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + x if x == y else max(
                table[i][j + 1], table[i + 1][j], key=len)
    return table[-1][-1]
result = common("AGGTABQRST", "GXTXAYBXRT")
