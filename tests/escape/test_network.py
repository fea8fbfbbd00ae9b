"""The network: no listener outside hears of the guest, by any family or trick."""
import pytest
from prelude import attack

NETWORK = {
    "tcp": """
import socket
for address in (("127.0.0.1", W["tcp"]), ("localhost", W["tcp"]), ("0.0.0.0", W["tcp"])):
    attempt(lambda: socket.create_connection(address, 0.3).send(b"hello"))
""",
    "tcp6": """
import socket
attempt(lambda: socket.create_connection(("::1", W["tcp6"]), 0.3).send(b"hello"))
""",
    "udp": """
import socket
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
    b"hello", ("127.0.0.1", W["udp"])))
""",
    "tcp_fast_open": """
import socket
attempt(lambda: socket.socket().sendto(b"hello", 0x20000000, ("127.0.0.1", W["tcp"])))
""",
    "unix_abstract": """
import socket
for name in (W["token"], W["token"] + "-dgram"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        def talk():
            sock = socket.socket(socket.AF_UNIX, kind)
            sock.connect("\\0" + name)
            sock.send(b"hello")
        attempt(talk)
        attempt(lambda: socket.socket(socket.AF_UNIX, kind).sendto(b"hello", "\\0" + name))
""",
    "unix_path": """
import socket
os.chdir("/")
attempt(lambda: socket.socket(socket.AF_UNIX).connect(W["dir"] + "/etc/socket"))
for path in ("/run/dbus/system_bus_socket", "/var/run/docker.sock", "/run/systemd/notify",
             "/run/systemd/journal/stdout", "/dev/log"):
    if worked(attempt(lambda: socket.socket(socket.AF_UNIX).connect(path))):
        breach(path)
""",
    "socketpair_to_abstract": """
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    pair = attempt(socket.socketpair, socket.AF_UNIX, kind)
    if worked(pair):
        for name in (W["token"], W["token"] + "-dgram"):
            attempt(lambda: pair[0].sendto(b"hello", "\\0" + name))
            attempt(lambda: pair[0].connect("\\0" + name))
            attempt(lambda: pair[0].sendmsg([b"hello"], [], 0, "\\0" + name))
""",
    "by_raw_call": """
import struct
address = struct.pack("<HH4s8x", 2, int.from_bytes(W["tcp"].to_bytes(2, "big"), "little"),
                      bytes((127, 0, 0, 1)))
for fd in range(300):
    call(42, fd, address, 16)
    call(49, fd, address, 16)
    call(44, fd, b"hello", 5, 0, address, 16)
fd, error = call(41, 2, 1, 0)
if fd >= 0:
    call(42, fd, address, 16)
""",
    "families": """
import socket
for family in range(0, 46):
    if family == 1:
        continue
    for kind in (1, 2, 3, 5, 10):
        fd, error = call(41, family, kind, 0)
        if fd >= 0:
            breach("socket family", family, kind)
        if call(53, family, kind, 0, (ctypes.c_int * 2)())[0] == 0:
            breach("socketpair family", family, kind)
""",
    "passing_descriptors": """
import array, socket
pair = attempt(socket.socketpair)
if worked(pair):
    secret = os.open(".", os.O_RDONLY)
    sent = attempt(lambda: pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                      array.array("i", [secret]))]))
    if worked(sent) and worked(attempt(lambda: pair[1].recvmsg(10, 100)[1])):
        breach("SCM_RIGHTS")
    for option in (16, 17, 18, 77):
        value = attempt(lambda: pair[0].getsockopt(socket.SOL_SOCKET, option, 12))
        if option == 77 and worked(value):
            breach("SO_PEERPIDFD")
""",
    "listen": """
import socket
server = attempt(lambda: socket.create_server(("127.0.0.1", 0)))
if worked(server):
    breach("listens")
attempt(lambda: socket.socket(socket.AF_UNIX).bind("\\0" + W["token"] + "-mine"))
attempt(lambda: socket.socket(socket.AF_UNIX).bind("/tmp/" + W["token"] + "-mine"))
""",
    "resolver": """
import socket
for name in ("localhost", "example.com"):
    attempt(socket.getaddrinfo, name, 80)
    attempt(socket.gethostbyname, name)
""",
    "url": """
import urllib.request
for url in (f"http://127.0.0.1:{W['tcp']}/", "file://" + W["files"][0], "ftp://127.0.0.1/"):
    print(attempt(lambda: urllib.request.urlopen(url, timeout=0.3).read()))
""",
    "asyncio": """
import asyncio
async def talk():
    reader, writer = await asyncio.open_connection("127.0.0.1", W["tcp"])
    writer.write(b"hello")
    await writer.drain()
attempt(lambda: asyncio.run(talk()))
""",
    "interfaces": """
import socket
names = attempt(socket.if_nameindex)
if worked(names) and {name for _, name in names} - {"lo"}:
    breach("interfaces", names)
""",
}

IPC = {
    "shared_memory": """
libc.shmat.restype = ctypes.c_void_p
for number in (W["shm"], call(29, W["key"], 4096, 0o666)[0]):
    address = libc.shmat(number, None, 0)
    if address not in (None, 2**64 - 1):
        print(ctypes.string_at(address, 64))
        ctypes.memset(address, 0, 64)
        breach("shmat")
    call(31, number, 0, 0)
""",
    "message_queue": """
buffer = ctypes.create_string_buffer(200)
for number in (W["msg"], call(68, W["key"], 0o666)[0]):
    call(70, number, buffer, 100, 0, 0o4000)
    print(buffer.raw)
    call(69, number, (ctypes.c_long * 2)(1, 1), 8, 0o4000)
    call(71, number, 0, 0)
""",
    "semaphore": """
for number in (W["sem"], call(64, W["key"], 1, 0o666)[0]):
    call(65, number, (ctypes.c_short * 3)(0, 1, 0), 1)
    call(66, number, 0, 16, 7)
    call(66, number, 0, 0)
""",
    "posix_queue": """
fd, error = call(240, W["token"].encode(), os.O_RDWR | os.O_NONBLOCK, 0, 0)
buffer = ctypes.create_string_buffer(1 << 16)
if fd >= 0:
    call(243, fd, buffer, 1 << 16, 0, 0)
    print(buffer.value)
    call(242, fd, b"owned", 5, 0, 0)
call(241, W["token"].encode())
""",
    "posix_shared_memory": """
from multiprocessing import shared_memory
for name in (W["token"],):
    segment = attempt(shared_memory.SharedMemory, name)
    if worked(segment):
        print(bytes(segment.buf[:64]))
        segment.buf[0:1] = b"x"
print(attempt(lambda: open("/dev/shm/" + W["token"], "r+").read()))
""",
    "keyring": """
for ring in (-1, -2, -3, -4, -5):
    for operation in (0, 6, 11):
        if call(250, operation, ring, 0, 0, 0)[0] >= 0:
            breach("keyctl", operation, ring)
if call(248, b"user", b"psb", b"x", 1, -4)[0] >= 0:
    breach("add_key")
""",
}


@pytest.mark.parametrize("name", NETWORK)
def test_network(cage, name):
    if name in ("unix_path", "url") and cage.config.rung == "D":
        pytest.skip("rung D has no filesystem cut (docs/security.md)")
    cage.attack(attack(NETWORK[name]))


@pytest.mark.parametrize("name", IPC)
def test_ipc(cage, name):
    if name == "posix_shared_memory" and cage.config.rung == "D":
        pytest.skip("rung D has no filesystem cut (docs/security.md)")
    cage.attack(attack(IPC[name]))
