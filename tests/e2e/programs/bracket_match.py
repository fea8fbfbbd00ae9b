# Brackets of three kinds, properly nested or not.
def balanced(text):
    stack = []
    partner = {")": "(", "]": "[", "}": "{"}
    for char in text:
        if char in "([{":
            stack.append(char)
        elif char in partner and (not stack or stack.pop() != partner[char]):
            return False
    return not stack
result = {text: balanced(text) for text in ("()[]{}", "([)]", "{[()]}", "((", "", "a(b)c]")}
