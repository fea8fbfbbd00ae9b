# Entered and left, in order, errors too.
from contextlib import ExitStack, contextmanager, suppress
log = []
@contextmanager
def step(name):
    log.append("in " + name)
    try:
        yield name
    finally:
        log.append("out " + name)
with suppress(ZeroDivisionError), ExitStack() as stack:
    names = [stack.enter_context(step(name)) for name in "abc"]
    1 / 0
result = log
