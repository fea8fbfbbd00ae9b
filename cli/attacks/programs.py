"""Starts another program, which would report for itself."""
SCRIPT = f"echo @reached a program ran; echo > {W['dir']}/executed"
ARGUMENTS = ["sh", "-c", SCRIPT]


@step("syscalls")
def execve():
    os.execv("/bin/sh", ARGUMENTS)


@step("syscalls")
def execve_of_nothing():
    return call(59, 0, 0, 0)


@step("syscalls")
def interpreter():
    os.execv(sys.executable or "/usr/bin/python3", ["python3", "-c", "print('@reached python')"])


@step("syscalls")
def spawn():
    pid = os.posix_spawn("/bin/sh", ARGUMENTS, {})
    return os.waitpid(pid, 0)


@step("syscalls")
def from_memory():
    library()
    fd = os.memfd_create("program")
    os.write(fd, b"#!/bin/sh\n" + SCRIPT.encode())
    return call(322, fd, b"", 0, 0, 0x1000)


@step("syscalls")
def from_the_workspace():
    with open("program", "w") as file:
        file.write("#!/bin/sh\n" + SCRIPT)
    try:
        os.chmod("program", 0o755)
    except OSError:
        pass  # refused on some rungs; then it is no program
    os.execv("program", ["program"])
