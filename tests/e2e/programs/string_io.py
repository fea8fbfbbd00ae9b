# Redirected print.
import contextlib, io
buffer = io.StringIO()
with contextlib.redirect_stdout(buffer):
    print("hidden", 1, 2, sep="-", end=";")
print("shown")
result = buffer.getvalue()
