# Names of the module, seen from functions, exec and eval.
x = 1
def change():
    global x
    x += 1
    return sorted(name for name in globals() if name in ("x", "change", "result"))
space = {}
exec("y = [n * 2 for n in range(3)]", space)
result = [change(), x, space["y"], eval("x + 10"), (lambda: x)()]
