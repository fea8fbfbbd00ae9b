# Infix with precedence by two stacks.
import operator
OPS = {"+": (1, operator.add), "-": (1, operator.sub), "*": (2, operator.mul), "/": (2, operator.truediv)}
def calculate(text):
    values, pending = [], []
    def reduce():
        right, left = values.pop(), values.pop()
        values.append(OPS[pending.pop()][1](left, right))
    for token in text.replace("(", " ( ").replace(")", " ) ").split():
        if token in OPS:
            while pending and pending[-1] in OPS and OPS[pending[-1]][0] >= OPS[token][0]:
                reduce()
            pending.append(token)
        elif token == "(":
            pending.append(token)
        elif token == ")":
            while pending[-1] != "(":
                reduce()
            pending.pop()
        else:
            values.append(float(token))
    while pending:
        reduce()
    return values[0]
result = [calculate("1 + 2 * 3"), calculate("(1 + 2) * 3 - 4 / 2"), calculate("8 / 4 / 2")]
