# Late binding, nonlocal, defaults.
def counter():
    n = 0
    def step(by=1):
        nonlocal n
        n += by
        return n
    return step
c = counter()
late = [lambda: i for i in range(3)]
early = [lambda i=i: i for i in range(3)]
result = [c(), c(5), [f() for f in late], [f() for f in early]]
