"""The public C API through ctypes: what only a sandbox that lives longer than one run can show."""
import ctypes
import json
import os
import select
import time
from pathlib import Path

import psbtest


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int32), ("sys_errno", ctypes.c_int32), ("message", ctypes.c_char * 504)]


class Limits(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [(name, ctypes.c_uint64) for name in (
        "wall_ms", "cpu_ms", "memory_bytes", "stdout_bytes", "stderr_bytes", "result_bytes",
        "workspace_bytes", "workspace_files", "open_files", "processes")] + [
        ("on_output_limit", ctypes.c_uint32), ("reserved", ctypes.c_uint32)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [(name, ctypes.c_char_p) for name in (
        "engine", "policy", "require", "python", "preload", "tenant", "libexec", "rung")] + [
        ("limits", Limits), ("pool_size", ctypes.c_uint32), ("single_use", ctypes.c_uint32),
        ("queue_length", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("queue_timeout_ms", ctypes.c_uint64),
        ("site_policy", ctypes.c_char_p), ("audit", ctypes.c_void_p), ("log", ctypes.c_void_p), ("log_context", ctypes.c_void_p),
        ("log_level", ctypes.c_uint32), ("reserved_log", ctypes.c_uint32), ("progress", ctypes.c_void_p),
        ("progress_context", ctypes.c_void_p)]


class Request(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t), ("source", ctypes.c_char_p), ("source_len", ctypes.c_size_t),
        ("inputs", ctypes.c_char_p), ("inputs_len", ctypes.c_size_t), ("filename", ctypes.c_char_p),
        ("files", ctypes.c_void_p), ("file_count", ctypes.c_size_t), ("env", ctypes.c_void_p),
        ("output_dir", ctypes.c_char_p), ("tag", ctypes.c_char_p), ("limits", ctypes.POINTER(Limits)),
        ("on_output", ctypes.c_void_p), ("context", ctypes.c_void_p)]


OUTPUT_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)


class CallFailed(Exception):
    """An error of the call, not an outcome."""


def library_path():
    named = os.environ.get("PYSANDBOX_LIB")
    if named:
        return named
    build = Path(psbtest.command()).resolve().parent
    found = sorted(build.glob("**/libpysandbox.so*"))
    return str(found[0]) if found else ""


_loaded = []


def check_layout(lib):
    """A structure that lags behind the header would be written beyond its end."""
    for kind, init in ((Limits, lib.psb_limits_init), (Options, lib.psb_options_init), (Request, lib.psb_request_init)):
        room = ctypes.create_string_buffer(4096)
        init(room)
        size = ctypes.c_size_t.from_buffer(room).value
        assert size == ctypes.sizeof(kind), f"{kind.__name__} has {ctypes.sizeof(kind)} bytes here, {size} in the library"


def library():
    if not _loaded:
        lib = ctypes.CDLL(library_path(), use_errno=True)
        lib.psb_outcome_json.restype = ctypes.c_void_p
        lib.psb_outcome_json.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
        lib.psb_outcome_free.argtypes = lib.psb_close.argtypes = [ctypes.c_void_p]
        lib.psb_outcome_free.restype = lib.psb_close.restype = None
        lib.psb_outcome_job.argtypes, lib.psb_outcome_job.restype = [ctypes.c_void_p], ctypes.c_uint64
        lib.psb_cancel_current.argtypes, lib.psb_cancel_current.restype = [ctypes.c_void_p], None
        check_layout(lib)
        _loaded.append(lib)
    return _loaded[0]


def text(value):
    return value.encode() if isinstance(value, str) else value


class Sandbox:
    """psb_open to psb_close; execute() gives the outcome as a dict."""

    def __init__(self, *, pool_size=2, limits=None, **options):
        self.lib, self.handle, error = library(), ctypes.c_void_p(), Error()
        self.callbacks = []
        # The init function fills as many bytes as this library's struct has.
        assert ctypes.sizeof(Options) == self.size_of_options(), "Options is not the header's struct"
        given = Options()
        self.lib.psb_options_init(ctypes.byref(given))
        assert given.size == ctypes.sizeof(Options), "the header has changed: so must Options"
        given.engine = psbtest.ENGINE.encode()
        given.pool_size = pool_size
        for name, value in options.items():
            setattr(given, name, text(value))
        if limits:
            self.lib.psb_limits_init(ctypes.byref(given.limits))
            for name, value in limits.items():
                setattr(given.limits, name, value)
        self.check(self.lib.psb_open(ctypes.byref(given), ctypes.byref(self.handle), ctypes.byref(error)), error)

    def size_of_options(self):
        room = ctypes.create_string_buffer(4096)
        self.lib.psb_options_init(room)
        return ctypes.c_size_t.from_buffer(room).value

    @staticmethod
    def check(code, error):
        if code:
            raise CallFailed(code, error.message.decode(errors="replace"))

    def warm(self, instances=1, timeout_ms=20000):
        error = Error()
        self.check(self.lib.psb_warm(self.handle, instances, ctypes.c_uint64(timeout_ms), ctypes.byref(error)), error)

    def request(self, source, inputs=None, *, limits=None, tag=None, output_dir=None, on_output=None):
        """A filled request; it keeps what it points to alive."""
        request, source = Request(), text(source)
        self.lib.psb_request_init(ctypes.byref(request))
        request.source, request.source_len = source, len(source)
        if inputs is not None:
            data = json.dumps(inputs).encode()
            request.inputs, request.inputs_len = data, len(data)
        request.tag, request.output_dir = text(tag), text(output_dir)
        if limits:
            tight = Limits()
            self.lib.psb_limits_init(ctypes.byref(tight))
            for name, value in limits.items():
                setattr(tight, name, value)
            request.limits = ctypes.pointer(tight)
        if on_output:
            callback = OUTPUT_FN(lambda _, stream, data, size: on_output(stream, data[:size]))
            self.callbacks.append(callback)
            request.on_output = ctypes.cast(callback, ctypes.c_void_p)
        return request

    def outcome(self, pointer):
        size = ctypes.c_size_t()
        raw = ctypes.string_at(self.lib.psb_outcome_json(pointer, ctypes.byref(size)), size.value)
        self.lib.psb_outcome_free(pointer)
        return psbtest.parse_outcome(raw)

    def execute(self, source, inputs=None, **options):
        error, outcome = Error(), ctypes.c_void_p()
        request = self.request(source, inputs, **options)
        self.check(self.lib.psb_execute(self.handle, ctypes.byref(request), ctypes.byref(outcome),
                                        ctypes.byref(error)), error)
        return self.outcome(outcome)

    def submit(self, source, inputs=None, **options):
        error, job = Error(), ctypes.c_uint64()
        request = self.request(source, inputs, **options)
        self.check(self.lib.psb_submit(self.handle, ctypes.byref(request), ctypes.byref(job), ctypes.byref(error)),
                   error)
        return job.value

    def cancel(self, job):
        error = Error()
        self.check(self.lib.psb_cancel(self.handle, ctypes.c_uint64(job), ctypes.byref(error)), error)

    def fd(self):
        error = Error()
        got = self.lib.psb_fd(self.handle, ctypes.byref(error))
        self.check(min(got, 0), error)
        return got

    def next(self):
        """(job, outcome), or None when there is none yet."""
        error, outcome = Error(), ctypes.c_void_p()
        got = self.lib.psb_next(self.handle, ctypes.byref(outcome), ctypes.byref(error))
        self.check(min(got, 0), error)
        if not got:
            return None
        job = self.lib.psb_outcome_job(outcome)
        return job, self.outcome(outcome)

    def readable(self, timeout_s):
        return bool(select.select([self.fd()], [], [], timeout_s)[0])

    def outcomes(self, count, timeout_s=30):
        """The next `count` outcomes as a dict by job; fails when they do not come."""
        found, end = {}, time.monotonic() + timeout_s
        while len(found) < count:
            assert self.readable(max(end - time.monotonic(), 0)), f"{len(found)} of {count} outcomes came"
            while (got := self.next()):
                assert got[0] not in found, f"job {got[0]} ended twice"
                found[got[0]] = got[1]
        return found

    def close(self):
        self.lib.psb_close(self.handle)
        self.handle = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.close()
