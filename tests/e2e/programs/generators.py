# send, throw, close, and what return gives.
def averager():
    total = count = 0
    try:
        while True:
            try:
                value = yield (total / count if count else None)
            except ValueError:
                total = count = 0
                continue
            total, count = total + value, count + 1
    finally:
        print("closed")
def outer():
    return (yield from inner())
def inner():
    yield 1
    return 2
a = averager()
next(a)
log = [a.send(10), a.send(20), a.throw(ValueError), a.send(5)]
a.close()
g = outer()
next(g)
try:
    next(g)
except StopIteration as stop:
    log.append(stop.value)
result = log
