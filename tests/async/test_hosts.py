"""What a host may do, and what it must not notice."""
import time

import psbtest


def test_sigchld_and_waitpid_see_nothing(host):
    lines = host("""
seen = []
signal.signal(signal.SIGCHLD, lambda *_: seen.append(1))
with open_sandbox() as sandbox:
    jobs = [sandbox.submit("result = 1") for _ in range(20)]
    found = sandbox.outcomes(20)
    assert all(outcome["result"] == 1 for outcome in found.values())
    try:
        print(os.waitpid(-1, os.WNOHANG))
    except ChildProcessError:
        print("no child")
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child", len(seen), "signals")
""")
    assert lines == ["no child", "no child 0 signals"]


def test_a_host_that_ignores_sigchld(host):
    """The kernel reaps its children at once; the library's are not among them."""
    lines = host("""
import subprocess
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with open_sandbox() as sandbox:
    jobs = [sandbox.submit("import os\\nos._exit(n)", {"n": n}) for n in range(1, 9)]
    found = sandbox.outcomes(8)
    print(sorted(outcome["exit_code"] for outcome in found.values()))
    print(sandbox.execute("result = 5")["result"], signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN)
""")
    assert lines == ["[1, 2, 3, 4, 5, 6, 7, 8]", "5 True"]


def test_a_host_that_waits_for_any_child(host):
    """A thread that reaps everything takes nothing of the library's away."""
    lines = host("""
own, stop = [], threading.Event()
def reap():
    while not stop.is_set():
        try:
            own.append(os.waitpid(-1, 0)[0])
        except ChildProcessError:
            time.sleep(0.001)
thread = threading.Thread(target=reap)
thread.start()
with open_sandbox() as sandbox:
    for _ in range(5):
        if os.fork() == 0:
            os._exit(0)
        sandbox.submit("import os\\nos.abort()")
    found = sandbox.outcomes(5)
    print({outcome["status"] for outcome in found.values()})
stop.set()
thread.join()
print(len(own))
""")
    assert lines == ["{'crash'}", "5"]


def test_a_forked_child_does_not_disturb(host):
    lines = host("""
sandbox = open_sandbox()
jobs = [sandbox.submit("import time\\ntime.sleep(0.2)\\nresult = 1") for _ in range(6)]
child = os.fork()
if child == 0:
    codes = []
    for call in (lambda: sandbox.submit("1"), sandbox.next, sandbox.fd, lambda: sandbox.cancel(1),
                 lambda: sandbox.execute("1"), sandbox.warm):
        try:
            codes.append(call())
        except psbcapi.CallFailed as failed:
            codes.append(failed.args[0])
    before = len(os.listdir("/proc/self/fd"))
    sandbox.close()
    good = codes == [-10] * 6 and before - len(os.listdir("/proc/self/fd")) > 10
    with open_sandbox(pool_size=1) as own:
        good = good and own.execute("result = 2")["result"] == 2
    os._exit(0 if good else 1)
found = sandbox.outcomes(6)
print({outcome["status"] for outcome in found.values()})
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(sandbox.execute("result = 3")["result"])
sandbox.close()
""")
    assert lines == ["{'ok'}", "0", "3"]


def test_close_is_quick_although_a_child_has_copies(host):
    """Descriptors that a child inherited keep no keeper alive."""
    lines = host("""
sandbox = open_sandbox()
sandbox.warm(3)
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
begin = time.monotonic()
sandbox.close()
print(time.monotonic() - begin < 1.5)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
""")
    assert lines == ["True"]


def test_a_killed_host_whose_child_lives_on(start_host):
    """The child holds copies of the control channel; what ran ends all the same."""
    traces = psbtest.Traces()
    process = start_host("""
sandbox = open_sandbox()
sandbox.warm(3)
for _ in range(3):
    sandbox.submit("while True: pass")
child = os.fork()
if child == 0:
    os.close(1)
    os.close(2)
    time.sleep(3)
    os._exit(0)
print(child, flush=True)
time.sleep(30)
""")
    child = int(process.stdout.readline())
    time.sleep(0.2)
    process.kill()
    process.communicate()
    end = time.monotonic() + 2
    names = []
    while time.monotonic() < end:
        names = [trace for trace in traces.left(0) if trace.startswith("process")]
        if set(names) <= {f"process {child}"}:
            break
        time.sleep(0.05)
    assert set(names) <= {f"process {child}"}
    psbtest.kill_quietly(child)


def test_every_descriptor_is_close_on_exec(host):
    lines = host("""
import fcntl
before = set(os.listdir("/proc/self/fd"))
with open_sandbox() as sandbox:
    sandbox.warm(3)
    jobs = [sandbox.submit("import time\\ntime.sleep(0.1)") for _ in range(5)]
    fds = [int(fd) for fd in set(os.listdir("/proc/self/fd")) - before]
    kept = []
    for fd in fds:
        try:
            if not fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
                kept.append(fd)
        except OSError:
            pass  # the listing's own
    print(len(fds) > 10, kept)
    sandbox.outcomes(5)
print(sorted(set(os.listdir("/proc/self/fd")) - before))
""")
    assert lines == ["True []", "[]"]


def test_the_library_makes_no_thread(host):
    lines = host("""
with open_sandbox() as sandbox:
    jobs = [sandbox.submit("result = 1") for _ in range(20)]
    print(os.listdir("/proc/self/task") == [str(os.getpid())])
    sandbox.outcomes(20)
    print(os.listdir("/proc/self/task") == [str(os.getpid())])
""")
    assert lines == ["True", "True"]


def test_many_threads(host):
    """Some execute, some submit, some fetch, all on one sandbox: everybody gets what is his."""
    lines = host("""
sandbox = open_sandbox(pool_size=4, queue_length=50)
wrong, seen, lock = [], {}, threading.Lock()
def execute(name):
    for number in range(30):
        got = sandbox.execute("print(mark)\\nresult = mark", {"mark": f"{name}-{number}"})
        if (got["result"], got["stdout"]) != (f"{name}-{number}", f"{name}-{number}\\n"):
            wrong.append(got)
def submit(start):
    for number in range(start, start + 60):
        while True:
            try:
                sandbox.submit("result = tag", {"tag": number})
                break
            except psbcapi.CallFailed as failed:
                if failed.args[0] != -9:
                    raise
                time.sleep(0.002)
def fetch():
    while len(seen) < 120:
        select.select([sandbox.fd()], [], [], 0.05)
        while (got := sandbox.next()):
            with lock:
                if got[0] in seen or got[1]["status"] != "ok":
                    wrong.append(got)
                seen[got[0]] = got[1]["result"]
threads = [threading.Thread(target=execute, args=(name,)) for name in "abc"]
threads += [threading.Thread(target=submit, args=(start,)) for start in (1000, 2000)]
threads += [threading.Thread(target=fetch) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(wrong, sorted(seen.values()) == [*range(1000, 1060), *range(2000, 2060)])
sandbox.close()
""")
    assert lines == ["[] True"]


def test_cancel_from_a_signal_handler(host):
    lines = host("""
sandbox = open_sandbox()
sandbox.warm(1)
handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: sandbox.lib.psb_cancel_current(sandbox.handle))
libc = ctypes.CDLL(None)
libc.signal(signal.SIGALRM, handler)
libc.ualarm(300000, 0)
job = sandbox.submit("import time\\ntime.sleep(0.6)\\nresult = 1")
print(sandbox.execute("while True: pass")["status"])
print(sandbox.outcomes(1)[job]["status"])
sandbox.close()
""")
    assert lines == ["cancelled", "ok"]


def test_asyncio(host):
    """The host's own loop, its own work and the jobs take turns in one thread."""
    lines = host("""
import asyncio
async def main():
    loop, futures, ticks = asyncio.get_running_loop(), {}, 0
    with open_sandbox(queue_length=100) as sandbox:
        def on_readable():
            while (got := sandbox.next()):
                futures.pop(got[0]).set_result(got[1])
        loop.add_reader(sandbox.fd(), on_readable)
        for n in range(50):
            futures[sandbox.submit("result = n", {"n": n})] = loop.create_future()
        waiting = asyncio.gather(*futures.values())
        while not waiting.done():
            await asyncio.sleep(0.001)
            ticks += 1
        print([outcome["result"] for outcome in await waiting] == list(range(50)), ticks > 5)
        loop.remove_reader(sandbox.fd())
asyncio.run(main())
""")
    assert lines == ["True True"]
