# Order of clauses, else, finally, chaining.
def run(action):
    log = []
    try:
        action()
    except (KeyError, IndexError) as problem:
        log.append(type(problem).__name__)
    except Exception as problem:
        log.append("other " + str(problem))
    else:
        log.append("fine")
    finally:
        log.append("end")
    return log
try:
    try:
        {}["x"]
    except KeyError as inner:
        raise RuntimeError("outer") from inner
except RuntimeError as problem:
    print(repr(problem), repr(problem.__cause__))
result = [run(lambda: {}["a"]), run(lambda: [][1]), run(lambda: 1 / 0), run(lambda: 1)]
