# A small evaluator by structural patterns.
def evaluate(tree):
    match tree:
        case int() | float():
            return tree
        case ["+", *parts]:
            return sum(map(evaluate, parts))
        case ["*", left, right]:
            return evaluate(left) * evaluate(right)
        case {"neg": part}:
            return -evaluate(part)
        case _:
            raise ValueError(tree)
result = evaluate(["+", 1, ["*", 2, 3], {"neg": 4}, 0.5])
