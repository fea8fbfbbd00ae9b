"""Calls listeners that wait on this machine."""
PATIENCE_S = 0.5


def reach(family, kind, address):
    """Connects and says something; the listener on the other side tells the truth."""
    socket = module("socket")
    with socket.socket(getattr(socket, family), getattr(socket, kind)) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect(address)
        sock.send(b"hello from the cage")
    return "connected"


@step("network")
def tcp():
    return reach("AF_INET", "SOCK_STREAM", ("127.0.0.1", W["tcp"]))


@step("network")
def tcp_v6():
    if not W["tcp6"]:
        raise Absent("no IPv6 here")
    return reach("AF_INET6", "SOCK_STREAM", ("::1", W["tcp6"]))


@step("network")
def udp():
    return reach("AF_INET", "SOCK_DGRAM", ("127.0.0.1", W["udp"]))


@step("network")
def unix_abstract():
    return reach("AF_UNIX", "SOCK_STREAM", "\0" + W["token"])


@step("network")
def unix_abstract_datagram():
    return reach("AF_UNIX", "SOCK_DGRAM", "\0" + W["token"] + "-datagram")


@step("network")
def unix_path():
    return reach("AF_UNIX", "SOCK_STREAM", W["dir"] + "/socket")


@step("network")
def unix_path_datagram():
    return reach("AF_UNIX", "SOCK_DGRAM", W["dir"] + "/datagram")


@step("network")
def out_of_a_pair():
    """An unnamed pair is allowed; a datagram one must not be turned towards anybody else."""
    socket = module("socket")
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"hello from the cage", "\0" + W["token"] + "-datagram")


@step("network")
def netlink():
    return call(41, 16, 3, 0, refused=(*REFUSED, errno.EAFNOSUPPORT))


@step("network")
def packets():
    return call(41, 17, 3, 3, refused=(*REFUSED, errno.EAFNOSUPPORT))


@step("network")
def virtual_socket():
    return call(41, 40, 1, 0, refused=(*REFUSED, errno.EAFNOSUPPORT))


@step("network")
def by_raw_call():
    return call(41, 2, 1, 0, refused=(*REFUSED, errno.EAFNOSUPPORT))
