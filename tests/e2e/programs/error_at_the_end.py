# A program that fails after some output.
print("before")
values = {"a": 1}
def look(key):
    return values[key]
print(look("a"))
look("b")
