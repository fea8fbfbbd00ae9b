# Named and unnamed ones.
import os, tempfile
with tempfile.TemporaryDirectory() as place:
    path = os.path.join(place, "x.bin")
    with open(path, "wb") as file:
        file.write(bytes(range(256)))
        file.seek(-1, os.SEEK_END)
        at = file.tell()
    size = os.path.getsize(path)
with tempfile.TemporaryFile("w+") as file:
    print("text", file=file)
    file.seek(0)
    text = file.read()
result = [size, at, text, os.path.exists(place)]
