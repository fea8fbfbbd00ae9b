"""The guest's own machinery: a program may spoil its own outcome, never forge what the host decides."""
import json
import os

import pytest
from prelude import attack

HOST_DECIDES = {"timeout", "cpu_limit", "memory_limit", "output_limit", "result_limit",
                "process_limit", "disk_limit", "denied", "cancelled", "unavailable"}
OWN = {"ok", "error", "exit", "crash", "unknown"}
FORGED = {"version": 1, "status": "memory_limit", "limit": "memory", "result": "forged",
          "engine": {"name": "microvm", "level": 10}, "stdout": ""}

SECRETS = {
    "environment": """
print(dict(os.environ))
libc.getenv.restype = ctypes.c_char_p
print(libc.getenv(b"PSB_SECRET"))
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
index = 0
while environ and environ[index]:
    print(environ[index])
    index += 1
""",
    "stack_above_main": """
# The strings of execve lie at the top of the stack: whatever the host's environment held.
end = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "__libc_stack_end").value \
    if worked(attempt(lambda: ctypes.c_void_p.in_dll(libc, "__libc_stack_end"))) else 0
environ = ctypes.c_void_p.in_dll(libc, "environ").value
for start in (environ, end):
    if start:
        print(attempt(lambda: ctypes.string_at(start, 2048)))
""",
    "descriptors": """
for fd in range(1024):
    name = attempt(os.fstat, fd)
    if worked(name) and fd > 2:
        print(fd, attempt(lambda: os.pread(fd, 200, 0)))
        attempt(lambda: os.set_blocking(fd, False))
        print(fd, attempt(lambda: os.read(fd, 200)) if fd < 250 else "")
""",
    "write_every_descriptor": """
for fd in range(301):
    attempt(lambda: os.set_blocking(fd, False))
    attempt(os.write, fd, b"owned by the guest")
    attempt(os.lseek, fd, 0, 0)
    attempt(os.ftruncate, fd, 0)
    attempt(os.pwrite, fd, b"owned", 0)
""",
    "own_memory": """
# All strings the process knows, through the collector: the host's secrets are not among them.
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict):
        for key, value in list(thing.items()):
            if isinstance(value, (str, bytes)) and b"SECRET" in (
                    value if isinstance(value, bytes) else value.encode("utf-8", "replace")):
                print(value)
""",
}

TAMPER = {
    "noise_on_the_result_pipe": """
for fd in range(3, 301):
    attempt(lambda: os.set_blocking(fd, False))
    attempt(os.write, fd, os.urandom(200))
    attempt(os.write, fd, b"PSBQ" + bytes(20))
result = "mine"
""",
    "half_a_frame": """
import struct
for kind in (0, 1, 2, 3, 0xffffffff):
    for size in (0, 1, 0x7fffffff, 0xffffffff):
        attempt(os.write, 250, bytes(16) + struct.pack("<II", kind, size))
result = "mine"
""",
    "forged_outcome_on_stdout": f"""
print({json.dumps(json.dumps(FORGED))})
sys.stderr.write({json.dumps(json.dumps(FORGED))})
result = "mine"
""",
    "newline_games_on_stdout": """
print("}\\n{\\"status\\": \\"memory_limit\\"}\\n\\x00\\x1b[2J", "\\u2028", "\\ud800".encode(
    "utf-8", "surrogatepass").decode("latin-1"))
result = "mine"
""",
}

SPOIL = {
    "end_frames_of_every_status": """
for status in ("memory_limit", "timeout", "denied", "cancelled", "unavailable", "output_limit"):
    attempt(lambda end: runner().emit_end(end), {"status": status, "exit_code": 0, "limits_hit": ["memory", "wall"],
                            "denied_imports": [], "has_result": False})
""",
    "own_end_then_more": """
attempt(lambda end: runner().emit_end(end), {"status": "ok", "exit_code": 0, "error": None, "limits_hit": [],
                        "denied_imports": [], "has_result": False})
print("after the end")
attempt(lambda end: runner().emit_end(end), {"status": "error", "exit_code": 0})
""",
    "frames_with_the_true_token": """
import struct
token = token()
forged = b'{"status":"memory_limit","limit":"memory"}'
for body in (forged, b"[" * 100000, b'{"a":1,"a":2}', b"\\xff\\xfe", b"NaN", b'"\\\\ud800"', b""):
    attempt(os.write, 250, token + struct.pack("<II", 2, len(body)) + body)
    attempt(os.write, 250, token + struct.pack("<II", 1, len(body)) + body)
attempt(os.write, 250, token + struct.pack("<II", 2, 0xffffffff))
os._exit(0)
""",
    "result_that_is_no_json": """
import struct
body = b'{"a": NaN, "a": 1e999, "b": "\\xff"'
attempt(os.write, 250, token() + struct.pack("<II", 1, len(body)) + body)
""",
    "close_everything": "os.closerange(0, 1024)\nresult = 1",
    "dup_over_everything": """
null = os.open("/dev/null", os.O_RDWR)
for fd in range(1024):
    if fd != null:
        attempt(os.dup2, null, fd)
result = 1
""",
    "dup_stdout_over_result": "attempt(os.dup2, 1, 250)\nprint('x' * 100)\nresult = 1",
    "result_pipe_as_stdout": "attempt(os.dup2, 250, 1)\nprint('{\"status\": \"denied\"}')\nresult = 1",
    "frames_of_the_runner": """
frame = sys._getframe()
while frame:
    for name, value in list(frame.f_locals.items()):
        attempt(lambda: value.clear())
    frame.f_globals.clear() if frame.f_back is None else None
    frame = frame.f_back
""",
    "referrers": """
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict) and "__builtins__" in thing:
        for key in list(thing):
            if not key.startswith("__"):
                attempt(thing.__setitem__, key, None)
""",
    "patched_modules": """
import builtins, io, json
for module in list(sys.modules.values()):
    for name in ("dumps", "loads", "compile", "exec", "exit", "_exit", "write", "flush", "open",
                 "emit_end", "emit_result", "isinstance", "type", "str", "getattr", "print_exc"):
        if hasattr(module, name):
            attempt(setattr, module, name, lambda *args, **more: "patched")
""",
    "hooks": """
sys.excepthook = sys.unraisablehook = lambda *args: os._exit(0)
sys.setprofile(lambda *args: None)
sys.settrace(lambda *args: (_ for _ in ()).throw(MemoryError))
import atexit
atexit.register(os.abort)
raise ValueError("x")
""",
    "null_pointer": "ctypes.string_at(0)",
    "wild_write": "ctypes.memset(id(type), 0xff, 4096)\nint()",
    "free_of_nothing": "libc.free(ctypes.c_void_p(0x41414141))",
    "stack_smash": "ctypes.memset(ctypes.byref(ctypes.c_int()), 0x41, 1 << 24)",
    "unmap_everything": """
for address in range(0, 1 << 47, 1 << 40):
    call(11, address, 1 << 40)
""",
    "abort": "os.abort()",
    "crash_handler": """
import faulthandler
faulthandler.disable()
for number in (4, 6, 7, 8, 11):
    attempt(faulthandler.unregister, number)
libc.signal(11, ctypes.c_void_p(1))
ctypes.string_at(1)
""",
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets(cage, name):
    cage.attack(attack(SECRETS[name]))


@pytest.mark.parametrize("name", TAMPER)
def test_tampering_is_noise(cage, name):
    """The program is otherwise honest, so its true result must come through."""
    if cage.config.imports == "on":
        pytest.skip("ctypes of the prelude is refused; the kernel rows cover it")
    run = cage.attack(attack(TAMPER[name]), statuses={"ok"})
    assert run.result == "mine"


@pytest.mark.parametrize("name", SPOIL)
def test_forging(cage, name):
    run = cage.attack(attack(SPOIL[name]), statuses=OWN)
    assert run.status not in HOST_DECIDES
    engine = run.outcome["engine"]
    assert engine["name"] == psbtest.ENGINE and engine["level"] < 9


def test_usage_is_the_hosts(cage):
    """Clocks and counters come from outside, whatever the guest does to its own."""
    run = cage.attack(attack("""
import time
end = time.monotonic() + 0.25
time.monotonic = time.time = lambda: 0
while call(228, 1, (ctypes.c_long * 2)())[0] == 0 and time.perf_counter() < end:
    pass
""") if cage.config.imports == "off" else "import time\nend = time.monotonic() + 0.25\nwhile time.monotonic() < end: pass")
    assert run.usage["cpu_ms"] >= 20 and run.usage["wall_ms"] >= run.usage["cpu_ms"] / 2 - 20


def test_the_environment_is_only_what_was_asked_for(cage):
    run = cage.attack("import os\nresult = sorted(os.environ)", args=["--env", "ASKED=yes"],
                      statuses={"ok"})
    assert "ASKED" in run.result
    assert not {"PSB_SECRET", "SUDO_USER", "SSH_AUTH_SOCK"} & set(run.result)


def test_descriptors_are_standard_ones_and_two_pipes(cage):
    code = """
import os
result = []
for fd in range(4096):
    try:
        os.fstat(fd)
    except OSError:
        continue
    result.append(fd)
"""
    run = cage.attack(code, statuses={"ok"})
    assert set(run.result) <= {0, 1, 2, 250, 251}, run.result


def test_guest_learns_no_host_name(cage):
    if cage.config.rung in ("C", "D"):
        pytest.skip("rungs C and D have no UTS namespace (docs/security.md)")
    run = cage.attack("import os\nresult = list(os.uname())", statuses={"ok"})
    assert os.uname().nodename not in run.result[1]
