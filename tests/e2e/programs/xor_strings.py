# Two strings of bits, one against the other.
def xor(a, b):
    return "".join("01"[x != y] for x, y in zip(a, b))
result = xor("010110", "110001")
