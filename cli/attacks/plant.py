"""Hides a secret wherever the next execution might find it."""
import builtins
import json

secret = W["plant"]
names = []
for place in (".", "/tmp", "/var/tmp", "/dev/shm", os.environ.get("HOME", "/")):
    try:
        path = f"{place}/{W['token']}-planted"
        with open(path, "w") as file:
            file.write(secret)
        names.append(path)
    except OSError:
        pass  # one place less
os.environ["PLANTED"] = secret
sys.modules["planted"] = type(sys)(secret)
builtins.planted = json.planted = secret
os.register_at_fork(after_in_child=lambda: secret)
heap = [secret + str(number) for number in range(50000)]
block = bytearray(secret.encode() * 100000)
if ctypes is not None:
    libc = library()
    libc.malloc.restype = ctypes.c_void_p
    for size in (64, 4096, 1 << 20):
        place = libc.malloc(size)
        ctypes.memmove(place, secret.encode(), len(secret))
        libc.free(ctypes.c_void_p(place))
if hasattr(os, "memfd_create"):
    try:
        os.write(os.memfd_create("planted"), secret.encode())
    except OSError:
        pass  # one place less
result = len(names)
