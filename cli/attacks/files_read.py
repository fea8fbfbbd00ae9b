"""Reads canaries outside: everybody may read the one, only their owner the other."""


def read(path, **options):
    fd = os.open(path, os.O_RDONLY, **options)
    try:
        return os.read(fd, 300)
    finally:
        os.close(fd)


@step("filesystem")
def by_path():
    return read(W["canary"])


@step("filesystem")
def private_file():
    return read(W["private"])


@step("filesystem")
def by_dotdot():
    return read("../" * 40 + W["canary"].lstrip("/"))


@step("filesystem")
def by_symlink():
    os.symlink(W["canary"], "link")
    return read("link")


@step("filesystem")
def by_symlinked_directory():
    os.symlink(W["dir"], "directory")
    return read("directory/canary")


@step("filesystem")
def by_hard_link():
    os.link(W["canary"], "linked")
    return read("linked")


@step("filesystem")
def by_rename():
    os.rename(W["canary"], "moved")
    return read("moved")


@step("filesystem")
def by_own_proc():
    return read("/proc/self/root" + W["canary"])


@step("filesystem")
def by_first_proc():
    return read("/proc/1/root" + W["canary"])


@step("filesystem")
def by_victims_proc():
    return read(f"/proc/{W['victim']}/root{W['canary']}")


@step("filesystem")
def list_directory():
    return os.listdir(W["dir"])


@step("filesystem")
def by_each_descriptor():
    tried = 0
    for fd in range(300):
        try:
            found = read("../" * 40 + W["canary"].lstrip("/"), dir_fd=fd)
        except OSError:
            tried += 1
            continue
        return found
    raise Quiet(f"{tried} descriptors")


@step("filesystem")
def watch():
    libc = library()
    fd = libc.inotify_init1(0)
    if fd < 0 or libc.inotify_add_watch(fd, W["dir"].encode(), 0xfff) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return "a watch on the directory"


@step("devices")
def physical_memory():
    return read("/dev/mem")


@step("devices")
def virtual_machines():
    return os.open("/dev/kvm", os.O_RDWR)


@step("devices")
def terminal():
    return os.open("/dev/ptmx", os.O_RDWR)
