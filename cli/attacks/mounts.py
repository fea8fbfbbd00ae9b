"""Changes what is mounted where."""


@door("privileges")
def mount_over_the_bait():
    library()
    return call(165, b"pysandbox", W["mount"].encode(), b"tmpfs", 0, 0)


def raw(name, number, *args):
    def attempt():
        return call(number, *args)
    attempt.__name__ = name
    door("privileges")(attempt)


raw("mount", 165, 0, 0, 0, 0, 0)
raw("umount", 166, 0, 2)
raw("pivot_root", 155, 0, 0)
raw("chroot", 161, 0)
raw("open_tree", 428, -100, 0, 0)
raw("move_mount", 429, -1, 0, -1, 0, 0)
raw("fsopen", 430, 0, 0)
raw("fsconfig", 431, -1, 0, 0, 0, 0)
raw("fsmount", 432, -1, 0, 0)
raw("fspick", 433, -1, 0, 0)
raw("mount_setattr", 442, -1, 0, 0, 0, 0)
raw("mknod_device", 133, 0, 0o20666, 0x101)
