# Text that re-indenting would spoil.
text = """first
    second
\tthird '''quoted'''
"""
print(text, end="")
result = text.splitlines()
