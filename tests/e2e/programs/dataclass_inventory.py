# Dataclasses, sorting, totals.
from dataclasses import asdict, dataclass, field
@dataclass(order=True)
class Item:
    price: float
    name: str = field(compare=False)
    count: int = field(default=1, compare=False)
    @property
    def total(self):
        return self.price * self.count
items = [Item(2.5, "pen", 10), Item(1.25, "pad"), Item(20.0, "bag", 2)]
print(min(items))
result = {"total": sum(item.total for item in items), "all": [asdict(i) for i in sorted(items)]}
