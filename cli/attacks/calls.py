"""System calls that no honest program makes, by number: they must not reach the kernel.

EFAULT, EINVAL or EBADF would mean that the kernel's own code had looked at the arguments. These
are chosen so that nothing happens where it does.
"""
CALLS = {
    "io_uring_setup": (425, 1, 0), "io_uring_enter": (426, -1, 0, 0, 0, 0, 0),
    "io_uring_register": (427, -1, 0, 0, 0), "bpf": (321, 0, 0, 0), "userfaultfd": (323, 0),
    "userfaultfd_user_mode": (323, 1), "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0), "keyctl": (250, 0, -3, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0), "init_module": (175, 0, 0, 0),
    "finit_module": (313, -1, 0, 0), "delete_module": (176, 0, 0),
    "kexec_load": (246, 0, 17, 0, 0), "kexec_file_load": (320, -1, -1, 0, 0, 0),
    "reboot": (169, 0, 0, 0, 0), "swapon": (167, 0, 0), "swapoff": (168, 0),
    "sethostname": (170, 0, -1), "setdomainname": (171, 0, -1), "iopl": (172, 4),
    "ioperm": (173, 0, 0, 2), "acct": (163, 1), "syslog": (103, -1, 0, 0),
    "clock_settime": (227, 99, 0), "clock_adjtime": (305, 99, 0), "settimeofday": (164, 0, 1),
    "fanotify_init": (300, -1, 0), "migrate_pages": (256, -1, 0, 0, 0), "modify_ldt": (154, 0, 0, 0),
    "memfd_secret": (447, -1), "name_to_handle_at": (303, -1, 0, 0, 0, 0),
    "open_by_handle_at": (304, -1, 0, 0), "shmget": (29, 0, 0, 0), "msgget": (68, -1, 0),
    "semget": (64, 0, -1, 0), "mq_open": (240, 0, 2, 0, 0), "quotactl": (179, 0, 0, 0, 0),
    "statmount": (457, 0, 0, 0, 0), "listmount": (458, 0, 0, 0, 0),
}
# The same by an instruction of our own, past the C library and whatever might be hooked in it.
INSTRUCTIONS = ("io_uring_setup", "bpf", "add_key", "perf_event_open", "userfaultfd")


def by_library(name, number, args):
    def attempt():
        return call(number, *args)
    attempt.__name__ = name
    door("syscalls")(attempt)


def by_instruction(name, number):
    def attempt():
        # mov eax, number; xor edi, edi; xor esi, esi; xor edx, edx; syscall; ret
        code = b"\xb8" + number.to_bytes(4, "little") + b"\x31\xff\x31\xf6\x31\xd2\x0f\x05\xc3"
        value = machine(code)
        if -value in REFUSED:
            raise OSError(-value, os.strerror(-value))
        return f"the kernel answered {value}"
    attempt.__name__ = name + "_by_instruction"
    door("syscalls")(attempt)


for name, (number, *args) in CALLS.items():
    by_library(name, number, args)
for name in INSTRUCTIONS:
    by_instruction(name, CALLS[name][0])
