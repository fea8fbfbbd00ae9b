"""Looks into the memory of a victim and takes hold of it."""


def vectors(size):
    buffer = ctypes.create_string_buffer(size)
    here = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), size)
    there = (ctypes.c_uint64 * 2)(W["address"], size)
    return buffer, here, there


@door("host_memory")
def attach():
    return call(101, 16, W["victim"], 0, 0)


@door("host_memory")
def seize():
    return call(101, 0x4206, W["victim"], 0, 0)


@door("host_memory")
def read_memory():
    library()
    buffer, here, there = vectors(W["length"])
    return call(310, W["victim"], here, 1, there, 1, 0) + " " + buffer.raw.decode("latin-1")


@door("host_memory")
def write_memory():
    library()
    buffer, here, there = vectors(W["length"])
    buffer.raw = b"overwritten".ljust(W["length"])
    return call(311, W["victim"], here, 1, there, 1, 0)


@step("filesystem")
def memory_file():
    fd = os.open(f"/proc/{W['victim']}/mem", os.O_RDONLY)
    return os.pread(fd, W["length"], W["address"])


@door("host_memory")
def compare():
    return call(312, W["victim"], os.getpid(), 0, 0, 0)


@door("host_memory")
def take_descriptor():
    return call(438, -1, 0, 0)


@door("host_memory")
def advise():
    return call(440, -1, 0, 0, 0, 0)


@door("host_memory")
def move_pages():
    return call(279, W["victim"], 0, 0, 0, 0, 0)
