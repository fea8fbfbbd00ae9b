"""No other program is started, by whatever name the call goes, and no foreign code is loaded."""
import pytest
from prelude import attack

# The marker is what a shell outside would leave; the path is checked by the world.
SHELL = """
MARK = f"echo owned > /tmp/{W['token']}-exec; echo BRE''ACH executed"
ARGS = ["sh", "-c", MARK]
"""
EXEC = {
    "execv": "attempt(os.execv, '/bin/sh', ARGS)",
    "execve": "attempt(os.execve, '/bin/sh', ARGS, {})",
    "execvp": "attempt(os.execvp, 'sh', ARGS)",
    "execvpe": "attempt(os.execvpe, 'sh', ARGS, {'PATH': '/bin:/usr/bin'})",
    "execl": "attempt(os.execl, '/bin/sh', *ARGS)",
    "execlp": "attempt(os.execlp, 'sh', *ARGS)",
    "system": "attempt(os.system, MARK)",
    "popen": "print(attempt(lambda: os.popen(MARK).read()))",
    "spawn": "attempt(os.spawnv, os.P_WAIT, '/bin/sh', ARGS)",
    "posix_spawn": "attempt(os.posix_spawn, '/bin/sh', ARGS, {})",
    "posix_spawnp": "attempt(os.posix_spawnp, 'sh', ARGS, {})",
    "subprocess": """
import subprocess
print(attempt(lambda: subprocess.run(ARGS, executable="/bin/sh", capture_output=True).stdout))
print(attempt(subprocess.check_output, MARK))
print(attempt(lambda: subprocess.check_output(MARK, shell=True)))
""",
    "fork_exec": """
import _posixsubprocess
read, write = os.pipe()
print(attempt(_posixsubprocess.fork_exec, [b"sh", b"-c", MARK.encode()], [b"/bin/sh"], True, (write,),
    None, None, -1, -1, -1, -1, -1, -1, read, write, False, False, -1, None, None, None, -1, None,
    False))
""",
    "execveat": """
argv = (ctypes.c_char_p * 4)(b"sh", b"-c", MARK.encode(), None)
call(322, -100, b"/bin/sh", argv, 0, 0)
fd = attempt(os.open, "/bin/sh", os.O_RDONLY)
if worked(fd):
    call(322, fd, b"", argv, 0, 0x1000)
attempt(lambda: os.execve(fd, ARGS, {}))
""",
    "memfd": """
fd = attempt(os.memfd_create, "x")
if worked(fd):
    os.write(fd, b"#!/bin/sh\\n" + MARK.encode())
    attempt(lambda: os.execve(fd, ["x"], {}))
    attempt(os.execv, f"/proc/self/fd/{fd}", ["x"])
    call(322, fd, b"", (ctypes.c_char_p * 2)(b"x", None), 0, 0x1000)
""",
    "workspace_script": """
with open("run.sh", "w") as script:
    script.write("#!/bin/sh\\n" + MARK)
os.chmod("run.sh", 0o755)
attempt(os.execv, "./run.sh", ["run.sh"])
attempt(os.system, "./run.sh")
""",
    "interpreter_again": """
for path in (sys.executable, "/usr/bin/python3", "/proc/self/exe", "/lib64/ld-linux-x86-64.so.2"):
    if path:
        attempt(os.execv, path, [path, "/bin/sh", "-c", MARK])
""",
    "ld_preload": """
os.environ["LD_PRELOAD"] = os.getcwd() + "/evil.so"
os.environ["LD_LIBRARY_PATH"] = os.environ["PYTHONPATH"] = os.getcwd()
open("evil.so", "wb").write(b"\\x7fELF")
attempt(ctypes.CDLL, "./evil.so")
attempt(os.execv, "/usr/bin/env", ["env", "sh", "-c", MARK])
""",
    "setuid_helpers": """
for path in ("/bin/su", "/usr/bin/sudo", "/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"):
    attempt(os.execv, path, [path, "-c", MARK])
""",
    "multiprocessing": """
import multiprocessing
for method in ("spawn", "forkserver"):
    attempt(lambda: multiprocessing.get_context(method).Process(target=print).start())
""",
    "pty": """
import pty
attempt(pty.spawn, ARGS)
attempt(pty.fork)
""",
    "webbrowser": "import webbrowser\nattempt(webbrowser.open, 'file:///etc/passwd')",
    "by_raw_call": """
argv = (ctypes.c_char_p * 4)(b"sh", b"-c", MARK.encode(), None)
call(59, b"/bin/sh", argv, 0)
""",
    "in_a_child": """
child = attempt(os.fork)
if child == 0:
    attempt(os.execv, "/bin/sh", ARGS)
    os._exit(0)
if worked(child):
    os.waitpid(child, 0)
""",
}


@pytest.mark.parametrize("name", EXEC)
def test_exec(cage, name):
    cage.attack(attack(SHELL + EXEC[name]), timeout=1.0)


LOAD = {
    "sitecustomize": """
for name in ("sitecustomize", "usercustomize", "_psb", "runner", "encodings", "os"):
    open(name + ".py", "w").write("print('BREACH ran', __name__)")
open("evil.pth", "w").write("import os; print('BREACH pth')")
import importlib
attempt(importlib.invalidate_caches)
""",
    "path_of_the_next": """
sys.path[:] = ["/tmp", W["dir"], os.getcwd()]
sys.path_hooks.clear()
sys.meta_path.insert(0, object())
sys.modules["json"] = sys.modules["os"]
""",
    "unpickle": """
import pickle
class Bomb:
    def __reduce__(self):
        return os.system, (f"touch /tmp/{W['token']}-pickle",)
attempt(pickle.loads, pickle.dumps(Bomb()))
result = Bomb()
""",
    "bytecode": """
def victim(): pass
code = victim.__code__
for consts in ((), (None,)):
    victim.__code__ = code.replace(co_code=b"\\x64\\xff" * 64, co_consts=consts, co_stacksize=1)
    victim()
""",
}


@pytest.mark.parametrize("name", LOAD)
def test_foreign_code(cage, name):
    cage.attack(attack(LOAD[name]))
