# Lists in lists, deep.
def flatten(thing):
    if isinstance(thing, list):
        for item in thing:
            yield from flatten(item)
    else:
        yield thing
result = list(flatten([1, [2, [3, [4, []]], "five"], [[[6]]]]))
