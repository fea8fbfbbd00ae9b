"""Runs the runner outside of any cage: pipes on 250 and 251, a workspace, frames decoded."""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

TOKEN = bytes(range(100, 116))
RESULT, END = 1, 2
BUILD = pathlib.Path(os.environ['PSB_TEST_RUNNER'])
MODULE = pathlib.Path(os.environ['PSB_TEST_MODULE'])


def interpreters():
    """The system's, and every other one that the machine happens to have."""
    found = ['/usr/bin/python3']
    root = pathlib.Path(os.environ.get('PYENV_ROOT', pathlib.Path.home() / '.pyenv')) / 'versions'
    for version in ('3.9', '3.10', '3.11', '3.12', '3.13'):
        found += sorted(str(path) for path in root.glob(f'{version}.*/bin/python3'))
    return found


def encode_request(source, inputs=None, options=None, files=(), cap=1 << 20, token=TOKEN):
    if isinstance(source, str):
        source = source.encode('utf-8', 'surrogatepass')
    inputs = b'' if inputs is None else inputs if isinstance(inputs, bytes) else (
        json.dumps(inputs).encode())
    options = json.dumps(options or {}, separators=(',', ':')).encode()
    tail = source + inputs + options
    for name, data in files:
        name = name.encode()
        tail += struct.pack('<IIQ', len(name), 0, len(data)) + name + data
    head = struct.pack('<II16sIIIIQQQ', 0x51425350, 1, token, len(source), len(inputs),
                       len(options), len(files), 64 + len(tail), cap, 0)
    return head + tail


def decode_frames(data):
    """[(type, payload)], and the bytes that are no frames."""
    frames, stray = [], b''
    while data:
        at = data.find(TOKEN)
        if at < 0 or len(data) < at + 24:
            return frames, stray + data
        kind, size = struct.unpack_from('<II', data, at + 16)
        stray += data[:at]
        frames.append((kind, data[at + 24:at + 24 + size]))
        data = data[at + 24 + size:]
    return frames, stray


def no_constant(name):
    raise ValueError(f'bare {name} in JSON')


def no_duplicates(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError('duplicate key')
    return dict(pairs)


def parse(data):
    text = data.decode('utf-8')
    return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_duplicates)


class Outcome:
    def __init__(self, frames, stray, stdout, stderr, code, workspace):
        self.frames = frames
        self.stray = stray
        self.stdout = stdout.decode('utf-8', 'surrogateescape')
        self.stderr = stderr.decode('utf-8', 'surrogateescape')
        self.code = code
        self.workspace = workspace
        ends = [payload for kind, payload in frames if kind == END]
        self.ends = len(ends)
        self.end = parse(ends[0]) if ends else None
        self.result_bytes = b''.join(payload for kind, payload in frames if kind == RESULT)

    @property
    def result(self):
        return parse(self.result_bytes)

    @property
    def status(self):
        return self.end and self.end['status']

    @property
    def error(self):
        return self.end['error']


class Process:
    """One interpreter with the runner in it, up to its end."""

    def __init__(self, python, folder, workspace, preload, single, env, template):
        request_out, self.request_fd = os.pipe()
        self.result_fd, result_in = os.pipe()
        high = [os.dup2(result_in, 250, inheritable=True),
                os.dup2(request_out, 251, inheritable=True)]
        try:
            self.child = subprocess.Popen(
                [python, '-I', '-S', str(folder / 'psb_start.py'), preload, single, *template],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={'OPENBLAS_NUM_THREADS': '1', **(env or {})}, cwd=workspace, pass_fds=high)
        finally:
            for fd in [request_out, result_in, *high]:
                os.close(fd)

    def run(self, request, timeout, read_limit):
        frames = bytearray()

        def collect():
            while len(frames) <= read_limit:
                piece = os.read(self.result_fd, 1 << 20)
                if not piece:
                    return
                frames.extend(piece)
            self.child.kill()

        def feed():
            try:
                with open(self.request_fd, 'wb') as pipe:
                    pipe.write(request)
            except BrokenPipeError:
                pass

        threads = [threading.Thread(target=collect), threading.Thread(target=feed)]
        for thread in threads:
            thread.start()
        try:
            out, err = self.child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()
            raise
        for thread in threads:
            thread.join()
        os.close(self.result_fd)
        return bytes(frames), out, err


class GuestCase(unittest.TestCase):
    python = '/usr/bin/python3'
    template = ()  # an import list that is known before the request, as JSON text

    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix='psb-guest-'))
        cls.folder = cls.base / 'psb'
        shutil.copytree(BUILD, cls.folder)
        shutil.copyfile(MODULE, cls.folder / '_psb.abi3.so')

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base, ignore_errors=True)

    def run_raw(self, request, preload='', single='1', timeout=60, read_limit=1 << 30, env=None):
        workspace = pathlib.Path(tempfile.mkdtemp(dir=self.base)) / 'work'
        workspace.mkdir()
        process = Process(self.python, self.folder, workspace, preload, single, env,
                          self.template if single == '0' else ())
        data, out, err = process.run(request, timeout, read_limit)
        frames, stray = decode_frames(data)
        return Outcome(frames, stray, out, err, process.child.returncode, workspace)

    def run_code(self, source, inputs=None, options=None, files=(), cap=1 << 20, **how):
        return self.run_raw(encode_request(source, inputs, options, files, cap), **how)

    def check_ok(self, source, expected=..., **how):
        outcome = self.run_code(source, **how)
        self.assertEqual(outcome.ends, 1, outcome.stderr)
        self.assertEqual(outcome.status, 'ok', (outcome.end, outcome.stderr))
        if expected is not ...:
            self.assertEqual(outcome.result, expected)
        return outcome

    def check_error(self, source, kind, **how):
        outcome = self.run_code(source, **how)
        self.assertEqual(outcome.ends, 1, outcome.stderr)
        self.assertEqual(outcome.status, 'error', (outcome.end, outcome.stderr))
        self.assertEqual(outcome.error['type'], kind, outcome.error)
        return outcome


def signal_name(code):
    return signal.Signals(-code).name if code < 0 else ''


if sys.version_info < (3, 9):
    raise SystemExit('the tests need Python 3.9')
