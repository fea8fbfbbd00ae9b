# Splits a text of brackets into its balanced outermost groups.
def groups(text):
    depth, current, out = 0, "", []
    for char in text.replace(" ", ""):
        current += char
        depth += {"(": 1, ")": -1}[char]
        if depth == 0:
            out.append(current)
            current = ""
    return out
result = groups("( ) (( )) (( )( )) ((()))")
