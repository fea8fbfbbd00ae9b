"""Untrusted programs as awaitables of Python's asyncio, through ctypes and nothing else.

    PYSANDBOX_LIB=build/src/libpysandbox.so python3 examples/async_asyncio.py

The event loop watches the sandbox's one descriptor; no thread and no child of this process is
involved. An awaiting task that is cancelled cancels its job.
"""

import asyncio
import ctypes
import json
import os


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("sys_errno", ctypes.c_int32),
                ("message", ctypes.c_char * 504)]


class Request(ctypes.Structure):
    """The leading members of struct psb_request; the library takes missing ones as zero."""
    _fields_ = [("size", ctypes.c_size_t), ("source", ctypes.c_char_p),
                ("source_len", ctypes.c_size_t), ("inputs", ctypes.c_char_p),
                ("inputs_len", ctypes.c_size_t)]


def load(path):
    lib = ctypes.CDLL(path)
    handle, error = ctypes.c_void_p, ctypes.POINTER(Error)
    lib.psb_open.argtypes = [handle, ctypes.POINTER(handle), error]
    lib.psb_close.argtypes, lib.psb_close.restype = [handle], None
    lib.psb_fd.argtypes = [handle, error]
    lib.psb_submit.argtypes = [handle, ctypes.POINTER(Request), ctypes.POINTER(ctypes.c_uint64),
                               error]
    lib.psb_next.argtypes = [handle, ctypes.POINTER(handle), error]
    lib.psb_cancel.argtypes = [handle, ctypes.c_uint64, error]
    lib.psb_outcome_job.argtypes, lib.psb_outcome_job.restype = [handle], ctypes.c_uint64
    lib.psb_outcome_json.argtypes = [handle, ctypes.POINTER(ctypes.c_size_t)]
    lib.psb_outcome_json.restype = ctypes.c_void_p
    lib.psb_outcome_free.argtypes, lib.psb_outcome_free.restype = [handle], None
    return lib


class Sandbox:
    """async with Sandbox(path) as sandbox: outcome = await sandbox.run("result = 1")"""

    def __init__(self, path):
        self.lib = load(path)
        self.handle = ctypes.c_void_p()
        self.futures = {}

    def check(self, code, error):
        if code < 0:
            raise RuntimeError(error.message.decode())
        return code

    async def __aenter__(self):
        error = Error()
        self.check(self.lib.psb_open(None, ctypes.byref(self.handle), ctypes.byref(error)), error)
        self.loop = asyncio.get_running_loop()
        self.fd = self.check(self.lib.psb_fd(self.handle, ctypes.byref(error)), error)
        self.loop.add_reader(self.fd, self.on_readable)
        return self

    async def __aexit__(self, *problem):
        self.loop.remove_reader(self.fd)
        self.lib.psb_close(self.handle)

    def on_readable(self):
        outcome = ctypes.c_void_p()
        while self.lib.psb_next(self.handle, ctypes.byref(outcome), None) == 1:
            size = ctypes.c_size_t()
            text = self.lib.psb_outcome_json(outcome, ctypes.byref(size))
            value = json.loads(ctypes.string_at(text, size.value))
            future = self.futures.pop(self.lib.psb_outcome_job(outcome))
            self.lib.psb_outcome_free(outcome)
            if not future.done():
                future.set_result(value)

    async def run(self, source, inputs=None):
        """One outcome as a dict."""
        error, job, data = Error(), ctypes.c_uint64(), source.encode()
        request = Request(ctypes.sizeof(Request), data, len(data))
        if inputs is not None:
            request.inputs = json.dumps(inputs).encode()
            request.inputs_len = len(request.inputs)
        self.check(self.lib.psb_submit(self.handle, ctypes.byref(request), ctypes.byref(job),
                                       ctypes.byref(error)), error)
        future = self.futures[job.value] = self.loop.create_future()
        try:
            return await future
        except asyncio.CancelledError:
            self.lib.psb_cancel(self.handle, job, None)
            raise


async def main():
    path = os.environ.get("PYSANDBOX_LIB", "libpysandbox.so.0")
    async with Sandbox(path) as sandbox:
        outcomes = await asyncio.gather(*(
            sandbox.run("result = n * n", {"n": n}) for n in range(10)))
        print("squares:", [outcome["result"] for outcome in outcomes])
        try:
            await asyncio.wait_for(sandbox.run("while True: pass"), timeout=0.2)
        except asyncio.TimeoutError:
            print("given up after 0.2 s; its job is cancelled")
        outcome = await sandbox.run("print('still here')")
        print(outcome["status"], outcome["stdout"].strip())


if __name__ == "__main__":
    asyncio.run(main())
