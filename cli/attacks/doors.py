"""Other doors into the kernel: calls of 32-bit programs and of x32, to which a filter for 64-bit
calls is blind unless it refuses them whole."""


def answered(value):
    if -4096 < value < 0:
        raise OSError(-value, os.strerror(-value))
    return f"the kernel answered {value}"


@door("syscalls")
def int80_getpid():
    return answered(machine(b"\xb8\x14\x00\x00\x00\xcd\x80\x48\x98\xc3"))


@door("syscalls")
def int80_socket():
    return answered(machine(b"\x53\xb8\x67\x01\x00\x00\xbb\x02\x00\x00\x00\xb9\x01\x00\x00\x00"
                            b"\x31\xd2\xcd\x80\x5b\x48\x98\xc3"))


@door("syscalls")
def x32_getpid():
    return answered(machine(b"\xb8\x27\x00\x00\x40\x0f\x05\xc3"))


@door("syscalls")
def x32_socket():
    return answered(machine(b"\xb8\x29\x00\x00\x40\xbf\x02\x00\x00\x00\xbe\x01\x00\x00\x00"
                            b"\x31\xd2\x0f\x05\xc3"))


@door("syscalls")
def io_port():
    return machine(b"\x31\xc0\x66\xba\x80\x00\xee\xc3")


@door("syscalls")
def model_specific_register():
    return machine(b"\xb9\x80\x00\x00\xc0\x0f\x32\xc3")
