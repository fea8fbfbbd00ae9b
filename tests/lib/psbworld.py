"""A small world of canaries around the command: what a guest must neither read, change nor reach.

It is as inviting as can be: world-writable files and directories of the guest's own uid, sockets
and IPC objects of mode 0666, a victim process of the same uid that is dumpable, and another one in
the command's process group. check() looks at all of it after every attack.
"""
import ctypes
import json
import os
import secrets
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import psbtest

# All signals stay blocked, so that whatever arrives is seen as pending; SIGKILL and SIGSTOP show in
# the state. The buffer is there to be read or written by an attack.
VICTIM = """
import ctypes, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
secret = ctypes.create_string_buffer(os.environ["PSB_SECRET"].encode())
print(os.getpid(), ctypes.addressof(secret), flush=True)
sys.stdin.read()
"""
libc = ctypes.CDLL(None, use_errno=True)
SHAPE = ("SigPnd", "ShdPnd", "TracerPid", "Uid", "NSpid", "Groups")


class Victim:
    def __init__(self, config, secret, **popen):
        self.process = psbtest.spawn(
            [psbtest.PYTHON, "-I", "-S", "-c", VICTIM], config, stdin=subprocess.PIPE,
            env={"PSB_SECRET": secret}, **popen)
        pid, address = self.process.stdout.readline().split()
        self.pid, self.address, self.secret = int(pid), int(address), secret.encode()
        self.before = self.look()

    def rows(self):
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return dict(line.split(":", 1) for line in status)

    def look(self):
        rows = self.rows()
        end = time.monotonic() + 2
        while "sleeping" not in rows["State"] and time.monotonic() < end:
            time.sleep(0.005)
            rows = self.rows()
        assert "sleeping" in rows["State"], f"the victim's state is {rows['State']}"
        limits = Path(f"/proc/{self.pid}/limits").read_text()
        nice = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[16:17]
        affinity = sorted(os.sched_getaffinity(self.pid))
        return [rows[key].strip() for key in SHAPE], limits, nice, affinity

    def check(self):
        assert self.process.poll() is None, "the victim was killed"
        assert self.look() == self.before, "the victim was signalled, traced or changed"
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.address)
            assert memory.read(len(self.secret)) == self.secret, "the victim's memory was changed"

    def close(self):
        self.process.kill()
        self.process.communicate()


class MessageQueue:
    """A POSIX queue of mode 0666 that holds the secret."""

    def __init__(self, name, secret):
        self.rt, self.name = ctypes.CDLL("librt.so.1", use_errno=True), name.encode()
        mask = os.umask(0)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC
        self.fd = self.rt.mq_open(self.name, flags, 0o666, None)
        os.umask(mask)
        assert self.fd >= 0, "mq_open"
        self.rt.mq_send(self.fd, secret.encode(), len(secret), 1)

    def messages(self):
        attributes = (ctypes.c_long * 8)()
        assert self.rt.mq_getattr(self.fd, ctypes.byref(attributes)) == 0
        return attributes[3]

    def close(self):
        os.close(self.fd)
        self.rt.mq_unlink(self.name)


class SysV:
    """One segment, one queue, one semaphore set, all 0666."""

    def __init__(self, secret):
        libc.shmat.restype = ctypes.c_void_p
        self.key = secrets.randbelow(1 << 30) + 1
        flags = 0o666 | 0o1000  # IPC_CREAT
        self.shm = libc.shmget(self.key, 4096, flags)
        self.msg = libc.msgget(self.key, flags)
        self.sem = libc.semget(self.key, 1, flags)
        assert min(self.shm, self.msg, self.sem) >= 0, "System V IPC"
        address = libc.shmat(self.shm, None, 0)
        ctypes.memmove(address, secret.encode(), len(secret))
        libc.shmdt(ctypes.c_void_p(address))
        message = struct.pack("l", 1) + secret.encode()
        libc.msgsnd(self.msg, message, len(secret), 0)
        self.before = self.rows()

    def rows(self):
        table = []
        for kind, ident in (("shm", self.shm), ("msg", self.msg), ("sem", self.sem)):
            for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
                if line.split()[1] == str(ident):
                    table.append((kind, line.split()))
        return table

    def close(self):
        libc.shmctl(self.shm, 0, None)
        libc.msgctl(self.msg, 0, None)
        libc.semctl(self.sem, 0, 0)


class World:
    def __init__(self, config):
        self.config, self.token = config, "psbw" + secrets.token_hex(6)
        self.secret = "SECRET" + secrets.token_hex(12)
        self.dir = Path(tempfile.mkdtemp(prefix=self.token + "-", dir="/tmp"))
        self.files, self.sockets, self.closers = [], [], []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        self.own(self.dir, 0o777)
        for name in ("home", "etc", "cwd"):
            (self.dir / name).mkdir()
            self.own(self.dir / name, 0o777)
            self.canary(self.dir / name / "canary.txt", 0o644)
            self.canary(self.dir / name / "writable.txt", 0o666)
        self.canary(Path("/dev/shm") / self.token, 0o666)
        self.canary(Path("/tmp") / (self.token + ".txt"), 0o644)
        self.listeners()
        self.sysv = self.keep(SysV(self.secret))
        self.queue = self.keep(MessageQueue("/" + self.token, self.secret))
        self.victim = self.keep(Victim(self.config, self.secret, start_new_session=True))
        self.mate = self.keep(Victim(self.config, self.secret, process_group=0))
        self.inherited = os.open(self.dir / "etc" / "writable.txt", os.O_RDWR | os.O_CLOEXEC)
        self.pipe_read, self.pipe_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.entries = self.look_at_directories()

    def keep(self, thing):
        self.closers.append(thing.close)
        return thing

    def own(self, path, mode):
        os.chmod(path, mode)
        if os.geteuid() == 0:
            os.chown(path, self.config.uid, self.config.uid)

    def canary(self, path, mode):
        path.write_text(self.secret)
        self.own(path, mode)
        self.files.append((path, self.look_at_file(path)))

    @staticmethod
    def look_at_file(path):
        seen = os.lstat(path)
        return (path.read_bytes(), seen.st_mode, seen.st_uid, seen.st_mtime_ns, seen.st_nlink,
                seen.st_ino, os.listxattr(path))

    def look_at_directories(self):
        """Everything named after this world, and all that is in its directories."""
        found = {str(path) for path in self.dir.rglob("*")}
        for place in ("/tmp", "/dev/shm", "/var/tmp", "/", "/root", "/run", "/etc", "/usr/lib"):
            if os.path.isdir(place):
                found |= {f"{place}/{name}" for name in os.listdir(place) if self.token in name}
        return found

    def listen(self, family, kind, address):
        sock = socket.socket(family, kind)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            sock.listen(8)
        self.sockets.append(sock)
        self.keep(sock)
        return sock.getsockname()

    def listeners(self):
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self.tcp = self.listen(socket.AF_INET, stream, ("127.0.0.1", 0))[1]
        self.udp = self.listen(socket.AF_INET, datagram, ("127.0.0.1", 0))[1]
        self.tcp6 = self.listen(socket.AF_INET6, stream, ("::1", 0))[1] if socket.has_ipv6 else 0
        self.listen(socket.AF_UNIX, stream, "\0" + self.token)
        self.listen(socket.AF_UNIX, datagram, "\0" + self.token + "-dgram")
        self.listen(socket.AF_UNIX, stream, str(self.dir / "etc" / "socket"))
        os.chmod(self.dir / "etc" / "socket", 0o777)

    def facts(self):
        """What the attacker is told: everything but the secret."""
        return {"dir": str(self.dir), "token": self.token, "tcp": self.tcp, "udp": self.udp,
                "tcp6": self.tcp6, "files": [str(path) for path, _ in self.files],
                "victim": self.victim.pid, "address": self.victim.address, "mate": self.mate.pid,
                "key": self.sysv.key, "shm": self.sysv.shm, "msg": self.sysv.msg,
                "sem": self.sysv.sem, "self": os.getpid(), "uid": self.config.uid}

    def run(self, code, **options):
        """The attack, with a secret in the caller's environment and in open descriptors."""
        env = {"PSB_SECRET": self.secret, "HOME": str(self.dir / "home")}
        popen = {"cwd": self.dir / "cwd", "process_group": self.mate.pid,
                 "pass_fds": (self.inherited, self.pipe_write)}
        os.lseek(self.inherited, 0, os.SEEK_SET)
        return psbtest.run(code, self.config, inputs={"W": self.facts()}, env=env, popen=popen,
                           **options)

    def check(self, run):
        """No effect on anything, and no secret in what came back."""
        assert self.secret not in run.raw.decode("utf-8"), f"the secret came out\n{run}"
        assert self.secret not in json.dumps(run.outcome), f"the secret came out\n{run}"
        for path, before in self.files:
            assert self.look_at_file(path) == before, f"{path} was changed\n{run}"
        new = self.look_at_directories() ^ self.entries
        assert not new, f"made or removed outside: {sorted(new)}\n{run}"
        ready = select.select([*self.sockets, self.pipe_read], [], [], 0)[0]
        assert not ready, f"reached from the cage: {ready}\n{run}"
        assert os.lseek(self.inherited, 0, os.SEEK_CUR) == 0, f"inherited descriptor used\n{run}"
        self.victim.check()
        self.mate.check()
        assert self.sysv.rows() == self.sysv.before, f"System V objects were touched\n{run}"
        assert self.queue.messages() == 1, f"the message queue was touched\n{run}"

    def close(self):
        for closer in reversed(self.closers):
            closer()
        for path, _ in self.files:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.dir, ignore_errors=True)
