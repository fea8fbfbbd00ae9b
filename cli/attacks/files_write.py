"""Changes, makes and removes files outside, where everybody may."""
writable = W["dir"] + "/writable"


def write(path, flags):
    fd = os.open(path, flags, 0o666)
    return os.write(fd, b"overwritten")


def told(value):
    """Some rungs feign success: the file itself tells."""
    raise Quiet(f"{value}; the file tells")


@step("filesystem")
def overwrite():
    return write(writable, os.O_WRONLY)


@step("filesystem")
def append():
    return write(writable, os.O_WRONLY | os.O_APPEND)


@step("filesystem")
def cut_off():
    return os.truncate(writable, 0)


@step("filesystem")
def through_symlink():
    os.symlink(writable, "out")
    return write("out", os.O_WRONLY)


@step("filesystem")
def create():
    return write(W["dir"] + "/made", os.O_WRONLY | os.O_CREAT)


@step("filesystem")
def make_directory():
    return os.mkdir(W["dir"] + "/made-directory")


@step("filesystem")
def make_link():
    return os.symlink("/", W["dir"] + "/made-link")


@step("filesystem")
def make_fifo():
    return os.mkfifo(W["dir"] + "/made-fifo")


@step("filesystem")
def move_in():
    os.close(os.open("mine", os.O_CREAT | os.O_WRONLY))
    return os.rename("mine", W["dir"] + "/moved-in")


@step("filesystem")
def remove():
    return os.unlink(W["dir"] + "/removable")


@step("filesystem")
def change_mode():
    return told(os.chmod(writable, 0o777))


@step("filesystem")
def change_times():
    return told(os.utime(writable, (1, 1)))


@step("filesystem")
def change_owner():
    return told(os.chown(writable, os.getuid(), os.getgid()))


@step("filesystem")
def set_attribute():
    return told(os.setxattr(writable, "user.pysandbox", b"1"))


@step("filesystem")
def shared_directories():
    # In a root of its own this works and shows nowhere; the host looks.
    refused = 0
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/"):
        try:
            write(f"{place}/{W['token']}", os.O_WRONLY | os.O_CREAT)
        except OSError:
            refused += 1
    raise Quiet(f"{refused} of 5 refused, nothing outside")


@step("filesystem")
def interpreter():
    return os.open(os.__file__, os.O_WRONLY)
