# Inheritance, an abstract base, formatted output.
import math
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(self): ...
    def __lt__(self, other):
        return self.area() < other.area()
class Circle(Shape):
    def __init__(self, radius):
        self.radius = radius
    def area(self):
        return math.pi * self.radius ** 2
class Square(Shape):
    def __init__(self, side):
        self.side = side
    def area(self):
        return self.side ** 2
for shape in sorted([Circle(2), Square(3), Circle(1)]):
    print(f"{type(shape).__name__:>8} {shape.area():8.3f}")
try:
    Shape()
except TypeError:
    result = "abstract"
