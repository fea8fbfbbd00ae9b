# Operators.
class Vector:
    def __init__(self, *parts):
        self.parts = parts
    def __add__(self, other):
        return Vector(*(a + b for a, b in zip(self.parts, other.parts)))
    def __mul__(self, k):
        return Vector(*(a * k for a in self.parts))
    __rmul__ = __mul__
    def __matmul__(self, other):
        return sum(a * b for a, b in zip(self.parts, other.parts))
    def __eq__(self, other):
        return self.parts == other.parts
    def __repr__(self):
        return f"Vector{self.parts}"
a, b = Vector(1, 2, 3), Vector(4, 5, 6)
print(a + b, 2 * a, a @ b)
result = [a == Vector(1, 2, 3), repr(b)]
