# With arguments, stacked, keeping names.
from functools import wraps
def repeat(times):
    def outer(function):
        @wraps(function)
        def inner(*args, **kwargs):
            return [function(*args, **kwargs) for _ in range(times)]
        return inner
    return outer
@repeat(2)
@repeat(3)
def greet(name, *, mark="!"):
    """Greets."""
    return name + mark
result = [greet("hi", mark="?"), greet.__name__, greet.__doc__]
