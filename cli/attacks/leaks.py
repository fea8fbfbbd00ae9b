"""Looks for what the host process has in its environment, descriptors and memory."""


# First: what a later step reads lies in memory afterwards.
@step("host_memory")
def memory():
    return search_memory()


@step("host_memory")
def environment():
    text = "\n".join(f"{key}={value}" for key, value in os.environ.items())
    return loot(text.encode("utf-8", "surrogateescape"), f"{len(os.environ)} variables")


@step("filesystem")
def first_environment():
    with open("/proc/self/environ", "rb") as file:
        return loot(file.read())


@step("host_memory")
def descriptors():
    return search_descriptors()


@step("host_memory")
def arguments():
    return loot("\n".join([*sys.argv, *getattr(sys, "orig_argv", [])]).encode())
