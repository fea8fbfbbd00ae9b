# Overlapping ones become one.
def merge(intervals):
    out = []
    for low, high in sorted(intervals):
        if out and low <= out[-1][1]:
            out[-1][1] = max(out[-1][1], high)
        else:
            out.append([low, high])
    return out
result = merge([[8, 10], [1, 3], [2, 6], [15, 18], [17, 20]])
