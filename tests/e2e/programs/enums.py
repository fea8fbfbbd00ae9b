# Names, flags, iteration.
from enum import Enum, Flag, auto
class Colour(Enum):
    RED = 1
    GREEN = 2
class Right(Flag):
    READ = auto()
    WRITE = auto()
both = Right.READ | Right.WRITE
result = [[c.name for c in Colour], Colour(2).name, Right.READ in both, both.value]
