# Fields, replaced, as dict.
from collections import namedtuple
Point = namedtuple("Point", "x y", defaults=[0])
p = Point(3)
print(p, p._replace(y=5))
result = [p, p._asdict(), p + (1,)]
