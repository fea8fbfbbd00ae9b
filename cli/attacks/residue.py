"""Looks for what an earlier execution has left."""
import builtins
import json


# Memory comes first: what a later step reads lies in it afterwards.
@step("state_reset")
def memory():
    return search_memory()


@step("state_reset")
def fresh_memory():
    libc = library()
    libc.malloc.restype = ctypes.c_void_p
    seen = b"".join(peek(libc.malloc(size), size) for size in (64, 4096, 1 << 20, 1 << 24))
    return loot(seen, f"searched {len(seen) >> 20} MiB of new memory")


@step("state_reset")
def environment():
    return loot(repr(dict(os.environ)).encode())


@step("state_reset")
def modules():
    left = [getattr(builtins, "planted", ""), getattr(json, "planted", ""),
            getattr(sys.modules.get("planted"), "__name__", "")]
    return loot(repr(left).encode())


@step("state_reset")
def descriptors():
    return search_descriptors()


@step("state_reset")
def any_file_of_the_workspace():
    found = [name for _, _, names in os.walk(".") for name in names]
    if found:
        return f"not empty: {found[:5]}"
    raise Quiet("empty")


places = {"workspace": ".", "tmp": "/tmp", "var_tmp": "/var/tmp", "shm": "/dev/shm"}


def planted_file(name, place, control):
    def attempt():
        with open(f"{place}/{W['token']}-planted", "rb") as file:
            return loot(file.read())
    attempt.__name__ = "file_in_" + name
    step(control)(attempt)


for name, place in places.items():
    planted_file(name, place, "state_reset" if place == "." else "filesystem")
