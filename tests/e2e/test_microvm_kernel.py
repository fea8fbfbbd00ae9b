"""The guest kernel against Linux: the same small program outside and inside a machine answers alike.

Each program leaves a list of what its system calls said (values, errno names). Outside it is run by
the plain interpreter in an empty directory, inside by the microvm engine.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import psbtest  # noqa: E402

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no access to /dev/kvm")

PRELUDE = """
import ctypes, errno, fcntl, mmap, os, select, signal, socket, stat, struct, threading, time
libc = ctypes.CDLL(None, use_errno=True)
os.mkdir('empty')
os.chdir('empty')
result = []
def say(function, *args, **names):
    try:
        value = function(*args, **names)
    except OSError as error:
        value = errno.errorcode[error.errno]
    except (ValueError, MemoryError, OverflowError) as error:
        value = type(error).__name__
    if isinstance(value, bytes):
        value = value.decode('latin-1')
    result.append(value)
    return value
def call(number, *args):
    ctypes.set_errno(0)
    value = libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    result.append(value if value >= 0 else errno.errorcode[ctypes.get_errno()])
    return value
"""

PROGRAMS = {
    "create_and_read": """
fd = say(os.open, 'f', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
say(os.open, 'f', os.O_RDWR | os.O_CREAT | os.O_EXCL)
say(os.write, fd, b'hello'); say(os.lseek, fd, 0, 0); say(os.read, fd, 10); say(os.read, fd, 10)
say(os.pread, fd, 3, 1); say(os.pwrite, fd, b'XY', 8); say(os.pread, fd, 20, 0)
say(lambda: oct(os.stat('f').st_mode)); say(lambda: os.stat('f').st_size)
say(os.ftruncate, fd, 3); say(os.pread, fd, 20, 0); say(os.truncate, 'f', -1)
say(os.lseek, fd, -1, 0); say(os.lseek, fd, 0, 99); say(os.lseek, fd, 5, 2); say(os.write, fd, b'z')
say(os.pread, fd, 20, 0); say(os.close, fd); say(os.close, fd); say(os.read, fd, 1)
""",
    "directories": """
say(os.mkdir, 'd'); say(os.mkdir, 'd'); say(os.mkdir, 'd/e'); say(os.mkdir, 'x/y')
say(os.rmdir, 'd'); say(os.unlink, 'd'); say(os.rmdir, 'd/e'); say(os.rmdir, 'd/.')
open('f', 'w').close(); say(os.rmdir, 'f'); say(os.listdir, 'f'); say(lambda: sorted(os.listdir('.')))
say(os.open, 'd', os.O_WRONLY); say(os.open, 'f/', os.O_RDONLY); say(os.open, 'f', os.O_DIRECTORY)
say(lambda: oct(os.stat('d').st_mode)); say(lambda: os.stat('d').st_nlink); say(os.chdir, 'f')
fd = os.open('d', os.O_RDONLY); say(os.write, fd, b'x'); say(os.writev, fd, [b'x', b'y'])
fd = os.open('d', os.O_PATH); say(os.write, fd, b'x'); say(os.read, fd, 1)
os.chdir('d'); say(os.rmdir, '../d'); say(os.mkdir, 'gone'); say(os.listdir, '.')
""",
    "links": """
open('f', 'w').write('x'); say(os.link, 'f', 'g'); say(lambda: os.stat('f').st_nlink)
say(os.symlink, 'f', 's'); say(os.readlink, 's'); say(os.readlink, 'f'); say(os.symlink, 'f', 's')
say(lambda: os.lstat('s').st_size); say(lambda: stat.S_ISLNK(os.lstat('s').st_mode))
say(os.open, 's', os.O_RDONLY | os.O_NOFOLLOW); os.symlink('loop', 'loop'); say(os.stat, 'loop')
os.symlink('nowhere', 'n'); say(os.stat, 'n'); fd = say(os.open, 'n', os.O_CREAT | os.O_WRONLY)
say(lambda: sorted(os.listdir('.'))); say(os.link, 'd', 'h'); os.mkdir('d'); say(os.link, 'd', 'h')
say(os.unlink, 'f'); say(lambda: os.stat('g').st_nlink)
""",
    "renames": """
os.makedirs('a/b'); os.mkdir('c'); open('f', 'w').close(); open('g', 'w').write('g')
for pair in [('a', 'a/b/x'), ('f', 'a'), ('a', 'f'), ('c', 'a'), ('a', 'c'), ('none', 'x'), ('f', 'g'),
             ('g', 'g'), ('c', 'x/y'), ('c', '.'), ('.', 'q'), ('c/', 'z'), ('g', 'w/')]:
    say(os.rename, *pair)
say(lambda: sorted(os.listdir('.')))
""",
    "long_and_odd_names": """
say(os.open, 'a' * 256, os.O_CREAT); say(os.open, 'a' * 255, os.O_CREAT | os.O_CLOEXEC)
say(os.stat, 'b/' * 3000); say(os.stat, ''); say(os.mkdir, '\\n'); say(os.mkdir, 'é')
say(lambda: sorted(os.listdir('.'))); say(lambda: os.stat('/../..').st_ino == os.stat('//').st_ino)
""",
    "descriptors": """
fd = os.open('f', os.O_RDWR | os.O_CREAT); two = os.dup(fd)
say(os.write, two, b'abc'); say(os.lseek, fd, 0, 1); say(os.get_inheritable, fd)
say(fcntl.fcntl, fd, fcntl.F_GETFL); say(fcntl.fcntl, fd, fcntl.F_SETFL, os.O_APPEND)
say(os.lseek, fd, 0, 0); say(os.write, fd, b'd'); say(os.lseek, fd, 0, 1)
say(os.dup2, fd, 60); say(os.dup2, 99, 61); say(fcntl.fcntl, fd, fcntl.F_DUPFD, 40)
say(fcntl.fcntl, fd, fcntl.F_DUPFD, 1 << 30); say(fcntl.fcntl, 98, fcntl.F_GETFD)
say(fcntl.flock, fd, fcntl.LOCK_EX); say(fcntl.lockf, fd, fcntl.LOCK_EX); say(os.fsync, fd)
say(os.isatty, fd); say(os.ttyname, fd); say(os.fdatasync, 97); say(os.closerange, 40, 70)
say(os.fstat, 60)
""",
    "vectors": """
fd = os.open('f', os.O_RDWR | os.O_CREAT); say(os.writev, fd, [b'ab', b'', b'cde'])
a, b = bytearray(3), bytearray(5); say(os.preadv, fd, [a, b], 1); say(lambda: (a + b).decode('latin-1'))
say(os.pwritev, fd, [b'1', b'2'], 4); say(os.pread, fd, 9, 0); say(os.sendfile, fd, fd, 0, 3)
r, w = os.pipe(); say(os.sendfile, w, fd, 1, 3); say(os.read, r, 10); say(os.posix_fallocate, fd, 0, 20)
say(lambda: os.fstat(fd).st_size); say(os.preadv, r, [a], 0)
""",
    "pipes": """
r, w = os.pipe(); os.set_blocking(r, False); os.set_blocking(w, False)
say(os.read, r, 1); say(os.write, w, b'x' * 70000); say(os.write, w, b'y'); say(lambda: len(os.read(r, 100000)))
say(os.write, w, b'tail'); os.close(w); say(os.read, r, 9); say(os.read, r, 9); say(os.lseek, r, 0, 0)
r, w = os.pipe(); os.close(r); say(os.write, w, b'x'); say(os.write, r, b'x')
r, w = os.pipe(); say(os.write, r, b'x'); say(os.read, w, 1); say(fcntl.fcntl, r, 1032)
buf = bytearray(4); os.write(w, b'abc'); fcntl.ioctl(r, 0x541b, buf); say(struct.unpack, 'i', bytes(buf))
""",
    "socketpairs": """
a, b = socket.socketpair(); say(a.send, b'abc'); say(b.recv, 2); say(b.recv, 9); b.setblocking(False)
say(b.recv, 1); say(a.shutdown, socket.SHUT_WR); say(b.recv, 1); say(a.send, b'x'); say(b.send, b'y'); say(a.recv, 3)
b.close(); say(a.recv, 3)
a, b = socket.socketpair(type=socket.SOCK_DGRAM); a.send(b'one'); a.send(b'second'); say(b.recv, 2); say(b.recv, 99)
say(a.getsockname); say(a.getsockopt, socket.SOL_SOCKET, socket.SO_TYPE); say(a.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
say(a.sendmsg, [b'x', b'y']); say(lambda: b.recvmsg(10)[0])
""",
    "polling": """
r, w = os.pipe(); p = select.poll(); p.register(r, select.POLLIN); p.register(w, select.POLLOUT)
say(lambda: [e for _, e in p.poll(0)]); os.write(w, b'x'); say(lambda: sorted(e for _, e in p.poll()))
os.close(w); say(lambda: sorted(e for _, e in p.poll()))
r2, w2 = os.pipe(); say(lambda: [len(s) for s in select.select([r2], [w2], [r2], 0.01)]); say(select.select, [50], [], [], 0)
e = select.epoll(); e.register(r2, select.EPOLLIN); say(e.poll, 0.01); os.write(w2, b'x'); say(lambda: [m for _, m in e.poll()])
say(e.register, r2, select.EPOLLIN); say(e.unregister, 77); say(e.register, os.open('.', os.O_RDONLY), 1)
e.modify(r2, select.EPOLLIN | select.EPOLLET); say(lambda: len(e.poll(0))); say(lambda: len(e.poll(0)))
os.write(w2, b'y'); say(lambda: len(e.poll(0))); os.close(w2); say(lambda: [m for _, m in e.poll()]); os.close(r2)
say(e.poll, 0)
""",
    "eventfds": """
fd = os.eventfd(3, os.EFD_NONBLOCK); say(os.eventfd_read, fd); say(os.eventfd_read, fd); say(os.write, fd, b'short')
say(os.eventfd_write, fd, 5); say(os.eventfd_write, fd, 2**64 - 2); say(os.eventfd_read, fd)
fd = os.eventfd(2, os.EFD_SEMAPHORE | os.EFD_NONBLOCK); say(os.eventfd_read, fd); say(os.eventfd_read, fd); say(os.eventfd_read, fd)
""",
    "memory": """
m = mmap.mmap(-1, 8192); m[0:3] = b'abc'; say(lambda: m[0:4]); say(m.resize, 16384); say(lambda: m[0:4]); m.close()
say(mmap.mmap, -1, 1 << 60)
fd = os.open('f', os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 10000); m = mmap.mmap(fd, 0); m[5] = 65; m[9999] = 66
say(os.pread, fd, 3, 4); os.pwrite(fd, b'Z', 6); say(lambda: m[6]); say(len, m); m.close(); os.close(fd)
with open('f', 'rb') as f: m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY); m[5] = 67
say(lambda: m[5:6]); say(lambda: open('f', 'rb').read()[5:6])
with open('f', 'rb') as f: say(mmap.mmap, f.fileno(), 0)
call(11, 12345, 4096); call(11, 4096, 0); call(10, 1 << 20, 4096, 1); call(9, 0, 0, 3, 0x22, -1, 0); call(9, 0, 4096, 3, 0, -1, 0)
call(28, 1, 1, 4); call(25, 4096, 4096, 8192, 0); call(9, 0, 4096, 3, 2, 99, 0)
""",
    "bad_addresses": """
for number, args in [(1, (1, 0, 5)), (0, (os.open('/dev/zero', os.O_RDONLY), 8, 5)), (2, (0, 0)), (4, (16, 16)), (22, (8,)), (96, (8, 0)), (63, (8,)),
                     (228, (0, 8)), (318, (8, 5, 0)), (13, (10, 8, 0, 8)), (7, (8, 1, 0)), (35, (8, 0)), (202, (8, 0, 0, 0))]:
    call(number, *args)
""",
    "clocks": """
libc.getauxval.restype = ctypes.c_ulong
say(lambda: libc.getauxval(33) != 0) # the object that makes reading a clock no system call
def order(clock):
    times = [(ctypes.c_long * 2)() for _ in range(3)]
    for read, time_ in ((libc.clock_gettime, times[0]), (lambda *a: libc.syscall(228, *a), times[1]), (libc.clock_gettime, times[2])):
        assert read(clock, ctypes.byref(time_)) == 0
    a, b, c = (t[0] * 10**9 + t[1] for t in times)
    return a <= b <= c and c - a < 10**9
ticking = threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(50)]); ticking.start()
for clock in (0, 1, 2, 4, 7, 11): say(lambda: all(order(clock) for _ in range(300)))
ticking.join()
begin = time.monotonic(); wall = time.time(); time.sleep(0.05)
say(lambda: abs((time.time() - wall) - (time.monotonic() - begin)) < 0.02 and 0.05 <= time.monotonic() - begin)
last = 0
for _ in range(20000): last, before = time.monotonic_ns(), last; assert last >= before
say(libc.clock_gettime, 999, ctypes.byref((ctypes.c_long * 2)())); say(libc.clock_gettime, -1, None)
say(lambda: abs(libc.time(None) - time.time()) < 2); say(lambda: abs(time.time() - os.stat('.').st_ctime) < 60)
""",
    "signals": """
got = []
say(signal.signal, signal.SIGUSR1, lambda *a: got.append(a[0])); os.kill(os.getpid(), signal.SIGUSR1); say(len, got)
say(lambda: len(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]))); os.kill(os.getpid(), signal.SIGUSR1)
say(len, got); say(lambda: sorted(map(int, signal.sigpending()))); say(lambda: int(signal.sigwait([signal.SIGUSR1])))
os.kill(os.getpid(), signal.SIGUSR1); signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1]); say(len, got)
say(signal.signal, signal.SIGKILL, signal.SIG_IGN); say(os.kill, os.getpid(), 0); say(os.kill, os.getpid(), 99)
say(signal.sigtimedwait, [signal.SIGUSR2], 0.01); say(signal.setitimer, signal.ITIMER_REAL, 0.02)
signal.signal(signal.SIGALRM, lambda *a: got.append(a[0])); t = time.monotonic(); time.sleep(0.1)
say(lambda: 0.09 < time.monotonic() - t < 2); say(len, got); say(signal.getitimer, signal.ITIMER_REAL)
r, w = os.pipe(); signal.setitimer(signal.ITIMER_REAL, 0.02)
def stop(*a): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
try: os.read(r, 1)
except KeyboardInterrupt: result.append('interrupted')
say(signal.alarm, 5); say(signal.alarm, 0); say(signal.strsignal, 11)
""",
    "threads": """
lock, done = threading.Lock(), []
def work(n):
    for i in range(2000):
        with lock: done.append(n)
ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]; say(len, done)
say(threading.Event().wait, 0.01); say(lock.acquire, timeout=0.01); say(lock.acquire, timeout=0.01)
b = threading.Barrier(3, timeout=5); seen = []
ts = [threading.Thread(target=lambda: (b.wait(), seen.append(1))) for _ in range(3)]
[t.start() for t in ts]; [t.join() for t in ts]; say(len, seen)
stop = []; t = threading.Thread(target=lambda: [None for _ in iter(lambda: bool(stop), True)]); t.start(); time.sleep(0.05)
stop.append(1); t.join(5); say(t.is_alive)
say(lambda: threading.stack_size(1 << 18)); t = threading.Thread(target=lambda: seen.append(2)); t.start(); t.join(); say(len, seen)
""",
    "times": """
import shutil
os.makedirs('t/u'); open('t/u/v', 'w').write('v' * 70000); say(shutil.copytree, 't', 'w')
say(lambda: len(open('w/u/v').read())); say(lambda: os.listxattr('t')) and None; result[-1:] = []
fd = os.open('f', os.O_CREAT); say(os.utime, 'f', ns=(1, 2 * 10**9)); say(lambda: os.stat('f').st_mtime_ns)
say(lambda: os.stat('f').st_atime_ns); say(os.utime, 'none'); say(lambda: time.time() - os.stat('f').st_ctime < 5)
say(time.clock_getres, time.CLOCK_MONOTONIC); say(time.clock_gettime, 77)
t = time.process_time(); time.sleep(0.05); say(lambda: time.process_time() - t < 0.04)
call(35, 0, 0); say(time.sleep, -1)
""",
    "clocks_agree_with_the_kernel": """
libc.getauxval.restype = ctypes.c_ulong
say(lambda: libc.getauxval(33) != 0)
def kernel(clock):
    pair = (ctypes.c_long * 2)()
    libc.syscall(228, clock, pair)
    return pair[0] + pair[1] / 1e9
def agrees(clock):
    first, between, last = time.clock_gettime(clock), kernel(clock), time.clock_gettime(clock)
    return first <= between + 0.02 and between <= last + 0.02 and 0 <= last - first < 5
for pause in (0, 0.05):
    time.sleep(pause)
    for clock in (0, 1, 4, 5, 6, 7, 2, 3):
        say(agrees, clock)
    say(lambda: abs(time.time() - kernel(0)) < 1)
say(time.clock_gettime, 99)
def watch():
    last = 0
    for _ in range(30000):
        now = time.monotonic()
        if now < last:
            result.append('backwards')
        last = now
threads = [threading.Thread(target=watch) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
""",
    "limits_and_names": """
import resource
say(lambda: resource.getrlimit(99)); say(os.sched_yield); say(os.getgroups) and None
result[-1:] = []
say(lambda: len(os.urandom(33))); say(os.getrandom, 0); say(os.umask, 0o27); say(os.umask, 0o22)
open('g', 'w').close(); os.mkdir('h'); os.chmod('g', 0o4751); say(lambda: oct(os.stat('g').st_mode))
say(os.access, 'g', os.X_OK); os.chmod('g', 0o600); say(os.access, 'g', os.X_OK); say(os.access, 'none', os.F_OK)
say(os.wait); say(os.getpgid, 0) and None; result[-1:] = []
say(lambda: os.uname().sysname); say(lambda: os.uname().machine); call(9999)
""",
}

OUTSIDE = PRELUDE + "import sys, json\nexec(sys.stdin.read())\nprint(json.dumps(result))\n"


def outside(program, folder):
    run = subprocess.run([psbtest.PYTHON, "-I", "-c", OUTSIDE], input=program, cwd=folder,
                         env={"LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=60,
                         check=True)
    return json.loads(run.stdout)


def inside(program):
    path = psbtest.write_file("kernel-program.py", PRELUDE + program)
    run = subprocess.run([psbtest.command(), "run", "--engine", "microvm", "--json", "--timeout",
                          "30", "--policy", psbtest.policy_file(None), str(path)],
                         capture_output=True, text=True, timeout=400, check=False)
    outcome = json.loads(run.stdout)
    assert outcome["status"] == "ok", outcome
    return outcome["result"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_answers_like_linux(name, tmp_path):
    expected = outside(PROGRAMS[name], tmp_path)
    found = inside(PROGRAMS[name])
    differing = [(i, e, f) for i, (e, f) in enumerate(zip(expected, found)) if e != f]
    assert not differing and len(expected) == len(found)
