"""Signals a victim that the host has started; its pending signals and its life tell."""
signal = module("signal")


def aim(pid):
    """A pid of ours in a namespace of our own may happen to be the victim's outside."""
    if pid in (os.getpid(), os.getppid(), os.getpgrp(), 0, 1):
        raise Quiet("other process numbers here")
    return pid


def sent(value):
    """Whether it arrived at anybody but us only the host can see."""
    raise Quiet(f"{value}; the victim tells")


@step("signals")
def end_victim():
    return sent(os.kill(aim(W["victim"]), signal.SIGTERM))


@step("signals")
def kill_victim():
    return sent(os.kill(aim(W["victim"]), signal.SIGKILL))


@step("signals")
def stop_victim():
    return sent(os.kill(aim(W["victim"]), signal.SIGSTOP))


@step("signals")
def everybody():
    # Ignored by default everywhere; the victim and the neighbour notice it all the same.
    signal.signal(signal.SIGURG, signal.SIG_IGN)
    return sent(os.kill(-1, signal.SIGURG))


@step("signals")
def victims_group():
    return sent(os.killpg(aim(W["victim"]), signal.SIGURG))


@step("signals")
def thread_of_victim():
    return sent(call(234, aim(W["victim"]), W["victim"], 23))


@step("signals")
def any_thread():
    return sent(call(200, aim(W["victim"]), 23))


@step("signals")
def queued():
    return sent(call(129, aim(W["victim"]), 23, ctypes.create_string_buffer(128)))


@step("signals", "door")
def by_descriptor():
    return sent(call(434, aim(W["victim"]), 0))


@step("signals")
def owner_of_a_pipe():
    fcntl = module("fcntl")
    receive, send = os.pipe()
    fcntl.fcntl(receive, fcntl.F_SETOWN, aim(W["victim"]))
    fcntl.fcntl(receive, 10, signal.SIGURG)
    fcntl.fcntl(receive, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    return sent(os.write(send, b"x"))


@step("signals")
def victims_limits():
    resource = module("resource")
    return sent(resource.prlimit(aim(W["victim"]), resource.RLIMIT_NOFILE, (17, 17)))


@step("signals")
def victims_priority():
    return sent(os.setpriority(os.PRIO_PROCESS, aim(W["victim"]), 19))
