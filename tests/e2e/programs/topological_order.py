# What must be done first.
from graphlib import CycleError, TopologicalSorter
order = list(TopologicalSorter({"d": {"b", "c"}, "b": {"a"}, "c": {"b"}}).static_order())
try:
    list(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
except CycleError as cycle:
    print("cycle of", len(set(cycle.args[1])))
result = order
