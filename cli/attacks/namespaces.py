"""Makes namespaces, or enters those of others."""
FLAGS = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
         "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x2000000, "time": 0x80}


def child_made(value):
    """In the child of a call that worked: end at once."""
    if value.startswith("the kernel answered 0 "):
        os._exit(0)
    return value


def unshare(name, flag):
    def attempt():
        return call(272, flag)
    attempt.__name__ = "unshare_" + name
    door("syscalls")(attempt)


def clone(name, flag):
    def attempt():
        return child_made(call(56, flag | 17, 0, 0, 0, 0))
    attempt.__name__ = "clone_" + name
    door("syscalls")(attempt)


def clone3(name, flag):
    def attempt():
        library()
        arguments = (ctypes.c_uint64 * 11)(flag, 0, 0, 0, 17)
        return child_made(call(435, arguments, 88))
    attempt.__name__ = "clone3_" + name
    door("syscalls")(attempt)


for name, flag in FLAGS.items():
    unshare(name, flag)
    clone3(name, flag)
    if name != "time":  # there the flag is part of clone's exit signal
        clone(name, flag)


@door("syscalls")
def setns_none():
    return call(308, -1, 0)


@step("filesystem")
def setns_of_the_victim():
    return call(308, os.open(f"/proc/{W['victim']}/ns/net", os.O_RDONLY), 0)
