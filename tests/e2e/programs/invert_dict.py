# Values to lists of keys.
marks = {"ann": "A", "bob": "B", "cat": "A", "dan": "C"}
turned = {}
for name, mark in marks.items():
    turned.setdefault(mark, []).append(name)
result = turned
