"""The kernel's surface by number: calls an ordinary program never makes do not reach the kernel.

A call counts as stopped when it fails as if forbidden or unknown, or when the guest is killed for
it. EFAULT, EINVAL or EBADF would mean that the kernel's own code had judged the arguments.
"""
import platform

import psbtest
import pytest
from prelude import attack

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86-64")

CALLS = {
    "ptrace_attach": (101, 16, "W['victim']", 0, 0),
    "ptrace_seize": (101, 0x4206, "W['victim']", 0, 0),
    "ptrace_parent": (101, 16, "os.getppid()", 0, 0),
    "process_vm_readv": (310, "W['victim']", 0, 0, 0, 0, 0),
    "process_vm_writev": (311, "W['victim']", 0, 0, 0, 0, 0),
    "kcmp": (312, "W['victim']", "W['mate']", 0, 0, 0),
    "pidfd_open": (434, "W['victim']", 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "pidfd_send_signal": (424, 0, 0, 0, 0),
    "process_madvise": (440, 0, 0, 0, 0, 0),
    "process_mrelease": (448, 0, 0),
    "setns": (308, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 2),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "open_tree": (428, -100, 0, 0),
    "move_mount": (429, 0, 0, 0, 0, 0),
    "fsopen": (430, 0, 0),
    "fsconfig": (431, 0, 0, 0, 0, 0),
    "fsmount": (432, 0, 0, 0),
    "fspick": (433, 0, 0, 0),
    "mount_setattr": (442, 0, 0, 0, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "io_uring_setup": (425, 1, 0),
    "io_uring_enter": (426, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "userfaultfd": (323, 0),
    "userfaultfd_user_mode": (323, 1),
    "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0),
    "keyctl": (250, 0, -3, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, 0, 0, 0),
    "delete_module": (176, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "kexec_file_load": (320, 0, 0, 0, 0, 0),
    "reboot": (169, 0, 0, 0, 0),
    "swapon": (167, 0, 0),
    "swapoff": (168, 0),
    "sethostname": (170, 0, -1),
    "setdomainname": (171, 0, -1),
    "iopl": (172, 4),
    "ioperm": (173, 0, 0, 2),
    "acct": (163, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "syslog": (103, -1, 0, 0),
    "settimeofday": (164, 0, 1),
    "clock_settime": (227, 99, 0),
    "clock_adjtime": (305, 99, 0),
    "lookup_dcookie": (212, 0, 0, 0),
    "vhangup": (153,),
    "fanotify_init": (300, -1, 0),
    "move_pages": (279, "W['victim']", 0, 0, 0, 0, 0),
    "migrate_pages": (256, "W['victim']", 0, 0, 0),
    "modify_ldt": (154, -1, 0, 0),
    "memfd_secret": (447, -1),
    "name_to_handle_at": (303, 0, 0, 0, 0, 0),
    "mknod_device": (133, "b'psbdev'", 0o20666, 0x101),
    "mknodat_device": (259, -100, "b'psbdev'", 0o20666, 0x101),
    "setuid_root": (105, 0),
    "setgid_root": (106, 0),
    "setresuid_root": (117, 0, 0, 0),
    "setresgid_root": (119, 0, 0, 0),
    "setgroups": (116, 0, 0),
    "capset": (126, "(ctypes.c_uint32 * 2)(0x20080522, 0)", "(ctypes.c_uint32 * 6)(*[0xffffffff] * 6)"),
    "prlimit_of_victim": (302, "W['victim']", 7, "(ctypes.c_uint64 * 2)(1, 1)", 0),
    "setpriority_of_victim": (141, 0, "W['victim']", 19),
    "sched_setaffinity_of_victim": (203, "W['victim']", 8, "ctypes.byref(ctypes.c_uint64(1))"),
    "socket_inet": (41, 2, 1, 0),
    "socket_inet_udp": (41, 2, 2, 0),
    "socket_inet6": (41, 10, 1, 0),
    "socket_raw": (41, 2, 3, 1),
    "socket_netlink": (41, 16, 3, 0),
    "socket_packet": (41, 17, 3, 3),
    "socket_vsock": (41, 40, 1, 0),
    "socket_alg": (41, 38, 5, 0),
    "socket_unix": (41, 1, 1, 0),
    "socket_bluetooth": (41, 31, 3, 1),
    "socket_can": (41, 29, 3, 1),
    "socket_xdp": (41, 44, 3, 0),
    "socket_tipc": (41, 30, 5, 0),
    "socket_smc": (41, 43, 1, 0),
    "shmget": (29, "W['key']", 4096, 0o666),
    "msgget": (68, "W['key']", 0o666),
    "semget": (64, "W['key']", 1, 0o666),
    "mq_open": (240, "W['token'].encode()", 2, 0, 0),
}
STOPPED = "(errno.EPERM, errno.ENOSYS, errno.EACCES, errno.EAFNOSUPPORT)"

UNSHARE = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
           "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x2000000, "time": 0x80,
           "user_and_all": 0x7e020000}


@pytest.mark.parametrize("name", CALLS)
def test_denied(cage, name):
    number, *args = CALLS[name]
    cage.attack(attack(f"""
result, error = call({number}, {', '.join(map(str, args))})
if result >= 0 or error not in {STOPPED}:
    breach({name!r}, result, errno.errorcode.get(error, error))
"""))


@pytest.mark.parametrize("name", UNSHARE)
def test_namespaces(cage, name):
    """unshare, clone and clone3 with each flag; a child that was made all the same ends at once."""
    cage.attack(attack(f"""
flag = {UNSHARE[name]}
if call(272, flag)[0] == 0:
    breach("unshare")
if flag != 0x80:  # the time flag is part of clone's exit signal there
    child, error = call(56, flag | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    if child > 0:
        breach("clone")
args = (ctypes.c_uint64 * 11)(flag, 0, 0, 0, 17)
child, error = call(435, args, 88)
if child == 0:
    os._exit(0)
if child > 0:
    breach("clone3")
"""))


CLONE = {"parent": 0x8000, "ptrace": 0x2000, "untraced": 0x800000, "pidfd": 0x1000, "vm": 0x100,
         "files": 0x400, "into_parent_with_vm": 0x8100}


@pytest.mark.parametrize("name", CLONE)
def test_clone_flags(cage, name):
    """Flags that no thread or fork of libc has; the child is gone with the run in any case."""
    flags = CLONE[name]
    # A child that shares memory on our own stack would wreck us: its stack pointer is bad at birth.
    stack = 16 if flags & 0x100 else 0
    cage.attack(attack(f"""
child, error = call(56, {flags} | 17, {stack}, 0, 0, 0)
if child == 0:
    call(231, 0)
if child > 0 and {flags} & 0xb000:
    breach("clone with", hex({flags}))
"""))


PRIVILEGE = {
    "personality": """
if call(135, 0x0040000)[0] == 0 and call(135, 0xffffffff)[0] & 0x40000:
    breach("personality ADDR_NO_RANDOMIZE")
if call(135, 0x0400000 | 8)[0] >= 0 and call(135, 0xffffffff)[0] & 8:
    breach("personality 32 bit")
""",
    "prctl": """
PR = {"dumpable": (4, 1), "keepcaps": (8, 1), "securebits": (28, 0x2f), "ptracer": (0x59616d61, -1),
      "mm": (35, 1, 0), "subreaper": (36, 1), "no_new_privs_off": (38, 0), "tsc": (26, 2),
      "ambient": (47, 2, 21), "unalign": (6, 1), "endian": (20, 1), "timing": (14, 1),
      "mce_kill": (33, 1, 1), "speculation_on": (53, 0, 2), "core_sched": (62, 1, W["victim"])}
for name, args in PR.items():
    result, error = call(157, *args, *[0] * (5 - len(args)))
    if result >= 0 and name in ("securebits", "mm", "no_new_privs_off", "ambient", "core_sched"):
        breach("prctl", name)
if call(157, 39, 0, 0, 0, 0)[0] != 1:
    breach("no_new_privs is off")
""",
    "capabilities": """
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
if call(125, header, data)[0] == 0 and any(data):
    breach("capabilities", list(data))
for capability in range(41):
    if call(157, 47, 1, capability, 0, 0)[0] == 1:
        breach("ambient", capability)
""",
    "identity": """
for name in ("setuid", "setgid", "seteuid", "setegid"):
    for number in (0, 1, 1000, W["uid"]):
        before = os.getresuid(), os.getresgid()
        attempt(getattr(os, name), number)
        if (os.getresuid(), os.getresgid()) != before:
            breach("identity", name, number)
if worked(attempt(os.setgroups, [0, 1, 4])) or worked(attempt(os.initgroups, "root", 0)):
    breach("groups")
""",
    "rlimits": """
import resource
for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_CPU", "RLIMIT_FSIZE",
             "RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_RTPRIO", "RLIMIT_NICE"):
    limit = getattr(resource, name)
    soft, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        attempt(resource.setrlimit, limit, (resource.RLIM_INFINITY,) * 2)
        if resource.getrlimit(limit)[1] != hard:
            breach("raised", name)
if resource.getrlimit(resource.RLIMIT_CORE)[1]:
    breach("core files")
""",
    "scheduling": """
for policy, priority in ((1, 50), (2, 50), (6, 0)):
    if worked(attempt(os.sched_setscheduler, 0, policy, os.sched_param(priority))):
        breach("scheduler", policy)
before = attempt(os.nice, 0)
if worked(attempt(os.nice, -20)) and os.nice(0) < before:
    breach("nice")
""",
    "own_filters": """
# A filter of one's own may only tighten; a listener would let the guest answer for itself.
allow = (ctypes.c_uint16 * 4)(6, 0, 0, 0x7fff)
program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(allow))
for flags in (8, 2, 1 | 8, 4):
    fd, error = call(317, 1, flags, program)
    if fd > 0:
        breach("seccomp listener", flags)
if call(41, 2, 1, 0)[0] >= 0:
    breach("a socket after all")
""",
    "terminal": """
import fcntl, termios
for fd in range(300):
    for byte in b"id > /tmp/" + W["token"].encode() + b"\\n":
        if not worked(attempt(fcntl.ioctl, fd, termios.TIOCSTI, bytes([byte]))):
            break
    else:
        breach("TIOCSTI", fd)
    if worked(attempt(fcntl.ioctl, fd, 0x541C, b"\\x04")):
        breach("TIOCLINUX", fd)
for path in ("/dev/tty", "/dev/ptmx", "/dev/console", "/dev/pts/0", "/dev/tty1"):
    if worked(attempt(os.open, path, os.O_RDWR)):
        breach(path)
""",
}


@pytest.mark.parametrize("name", PRIVILEGE)
def test_privilege(cage, name):
    if name == "terminal" and cage.config.rung == "D":
        pytest.skip("rung D has no filesystem cut, /dev included (docs/security.md)")
    cage.attack(attack(PRIVILEGE[name]))


# mov eax, NR; then int 0x80, syscall with bit 30 of the number, or sysenter; ret
MACHINE = {
    "int80_getpid": (b"\xb8\x14\x00\x00\x00\xcd\x80\x48\x98\xc3", "code == os.getpid()"),
    "int80_socket": (b"\x53\xb8\x67\x01\x00\x00\xbb\x02\x00\x00\x00\xb9\x01\x00\x00\x00\x31\xd2"
                     b"\xcd\x80\x5b\x48\x98\xc3", "code >= 0"),
    "x32_getpid": (b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", "code == os.getpid()"),
    "x32_socket": (b"\xb8\x29\x00\x00\x40\xbf\x02\x00\x00\x00\xbe\x01\x00\x00\x00\x31\xd2"
                   b"\x0f\x05\xc3", "code >= 0"),
    "far_call_to_32_bit": (b"\x6a\x23\x48\x8d\x05\x06\x00\x00\x00\x50\x48\xcb\x90\x90\x90\x90"
                           b"\xb8\x14\x00\x00\x00\xcd\x80\xf4", "True"),
    "sysenter": (b"\xb8\x14\x00\x00\x00\x0f\x34\xc3", "code == os.getpid()"),
    "vsyscall": (b"\x48\xc7\xc0\x00\x00\x60\xff\xff\xd0\xc3", "False"),
    "io_port": (b"\x31\xc0\x66\xba\x80\x00\xee\xc3", "True"),
    "halt": (b"\xf4\xc3", "True"),
    "write_cr3": (b"\x0f\x22\xd8\xc3", "True"),
    "rdmsr": (b"\xb9\x80\x00\x00\xc0\x0f\x32\xc3", "True"),
}
FOREIGN_CALLS = {"int80_getpid": "i386_syscall_20", "int80_socket": "i386_syscall_359",
                 "x32_getpid": "x32_syscall_39", "x32_socket": "x32_syscall_41"}


@pytest.mark.parametrize("name", MACHINE)
def test_machine_code(cage, name):
    code, breached = MACHINE[name]
    run = cage.attack(attack(f"""
code = machine({code!r})
if {breached}:
    breach({name!r}, code)
"""))
    if name in FOREIGN_CALLS and cage.config.imports == "off" and psbtest.ENGINE == "native":
        assert run.status == "denied" and run.exit_code == 65, str(run)
        assert run.outcome["denied"] == [{"kind": "syscall", "name": FOREIGN_CALLS[name]}], str(run)
