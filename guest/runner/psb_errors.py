"""Exceptions that end a program: what is printed, and what the outcome says.

The interpreter's own display is used, so that a traceback looks as it always does (causes, notes,
groups, carets, suggestions). Two things are done around it: the display finds the program's lines,
which are in no file, and it writes to a capped collector.
"""
import sys

# Given: psb, run (the namespace of psb_run), modules and copies of _thread and posix.
excepthook = run['excepthook']
real_open = run['real_open']
version = run['version']
MESSAGE_BYTES = 8 << 10
TRACEBACK_HEAD = 48 << 10
TRACEBACK_TAIL = 15 << 10
WORKSPACE_ERRNOS = (28, 122, 27)  # ENOSPC, EDQUOT, EFBIG
FILES_ERRNOS = (24, 23)  # EMFILE, ENFILE
THREAD_STACK_BYTES = 1 << 20


class Collector:
    """A file for the display: passes on what it gets, keeps the head and the tail."""

    encoding = 'utf-8'
    errors = 'backslashreplace'

    def __init__(self, forward):
        self.forward = forward
        self.owner = _thread.get_ident()
        self.head = ''
        self.tail = ''
        self.lost = 0

    def write(self, text):
        if self.forward is not None:
            run['attempt'](self.forward.write, text)
        if _thread.get_ident() != self.owner:
            return
        room = TRACEBACK_HEAD - len(self.head)
        if room > 0 and not self.tail:
            self.head += text[:room]
            text = text[room:]
        if text:
            self.tail += text[-TRACEBACK_TAIL:]
            self.lost += max(0, len(text) - TRACEBACK_TAIL)
            self.lost += max(0, len(self.tail) - TRACEBACK_TAIL)
            self.tail = self.tail[-TRACEBACK_TAIL:]

    def flush(self):
        if self.forward is not None:
            run['attempt'](self.forward.flush)

    def text(self):
        gap = f'\n... {self.lost} characters left out ...\n' if self.lost else ''
        return self.head + gap + self.tail


def clean(text, cap):
    """Exactly str, no lone surrogates, at most cap bytes of UTF-8."""
    text = str.__getitem__(text, slice(0, cap))
    return text.encode('utf-8', 'backslashreplace')[:cap].decode('utf-8', 'ignore')


def clean_traceback(text):
    data = text.encode('utf-8', 'backslashreplace')
    limit = TRACEBACK_HEAD + TRACEBACK_TAIL
    if len(data) > limit:
        data = data[:TRACEBACK_HEAD] + b'\n... left out ...\n' + data[-TRACEBACK_TAIL:]
    return data.decode('utf-8', 'ignore')


def type_name(exc):
    return clean(type.__dict__['__name__'].__get__(type(exc)), 256)


def message_of(exc):
    try:
        return clean(str(exc), MESSAGE_BYTES)
    except BaseException:
        return '<exception str() failed>'


def own_traceback(exc):
    """The traceback without the frames of the runner."""
    trace = BaseException.__traceback__.__get__(exc)
    while trace is not None and trace.tb_frame.f_globals is run:
        trace = trace.tb_next
    BaseException.with_traceback(exc, trace)
    return trace


def line_of(exc, trace, filename, compiling):
    if compiling and issubclass(type(exc), SyntaxError):
        line = SyntaxError.lineno.__get__(exc)
        return line if type(line) is int else 0
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            line = trace.tb_lineno or line
        trace = trace.tb_next
    return line


def source_fd(source):
    """A descriptor that holds the program's text, or -1."""
    try:
        try:
            fd = posix.memfd_create('source', 1)
        except (OSError, AttributeError):
            fd = posix.open('.', posix.O_TMPFILE | posix.O_RDWR, 0o600)
    except OSError:
        return -1
    try:
        view = memoryview(source)
        while view:
            view = view[posix.write(fd, view):]
        return fd
    except OSError:
        posix.close(fd)
        return -1


def opener(filename, fd):
    def open(file, mode='r', *args, **kwargs):
        if fd >= 0 and mode == 'rb' and type(file) is str and file == filename:
            posix.lseek(fd, 0, 0)
            return real_open(posix.dup(fd), 'rb')
        return real_open(file, mode, *args, **kwargs)
    return open


def fill_linecache(program):
    """Newer displays read lines from linecache."""
    import linecache
    text = program.loader.get_source()
    lines = [line + '\n' for line in text.split('\n')]
    linecache.cache[program.filename] = (len(text), None, lines, program.filename)


def display(program, exc, trace, file):
    """The interpreter's display of exc, written to file."""
    io = modules.get('io')
    current = getattr(sys, 'stderr', None)
    fd = -1
    if version >= (3, 12):
        run['attempt'](fill_linecache, program)
    if version < (3, 13):
        fd = source_fd(program.source)
    try:
        if fd >= 0 and io is not None:
            io.open = opener(program.filename, fd)
        sys.stderr = file
        excepthook(type(exc), exc, trace)
    finally:
        sys.stderr = current
        if fd >= 0:
            if io is not None:
                io.open = real_open
            posix.close(fd)


def call_hook(hook, exc, trace):
    """The program's own sys.excepthook. Returns the exception it raised, or None."""
    try:
        hook(type(exc), exc, trace)
    except BaseException as raised:
        return raised
    return None


def show(program, exc, trace):
    """Prints as the interpreter would; returns the text."""
    hook = getattr(sys, 'excepthook', None)
    stderr = getattr(sys, 'stderr', None)
    raised = None
    if hook is not None and hook is not excepthook:
        raised = call_hook(hook, exc, trace)
        if raised is None or issubclass(type(raised), SystemExit):
            stderr = None
        else:
            forward = Collector(stderr)
            forward.write('Error in sys.excepthook:\n')
            run['attempt'](display, program, raised, own_traceback(raised), forward)
            forward.write('\nOriginal exception was:\n')
    file = Collector(stderr)
    display(program, exc, trace, file)
    file.flush()
    if not file.head:
        file.write(f'{type_name(exc)}: {message_of(exc)}\n')
    if raised is not None and issubclass(type(raised), SystemExit):
        exit_with(program, raised)
    return clean_traceback(file.text())


def lack_of_threads():
    """Why no thread could be started: for want of a process, or of room for its stack.

    The ballast has been given back by now, so room counts only beyond it.
    """
    stack = _thread.stack_size() or THREAD_STACK_BYTES
    return 'processes' if psb.room_for(run['BALLAST_BYTES'] + stack) else 'memory'


def raised_by_fork(exc):
    """EAGAIN is a process limit when a fork said so, not when a read would block."""
    trace = BaseException.__traceback__.__get__(exc)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    names = trace.tb_frame.f_code.co_names if trace is not None else ()
    return any('fork' in name for name in names)


def limits_of(exc):
    mro = type.__dict__['__mro__'].__get__(type(exc))
    if MemoryError in mro:
        return ['memory']
    if RuntimeError in mro and "can't start new thread" in message_of(exc):
        return [lack_of_threads()]
    if OSError not in mro:
        return []
    number = OSError.errno.__get__(exc)
    if type(number) is not int:
        return []
    if number in WORKSPACE_ERRNOS:
        return ['workspace']
    if number in FILES_ERRNOS:
        return ['open_files']
    if number == 12:  # ENOMEM, of mmap for one
        return ['memory']
    return ['processes'] if number == 11 and raised_by_fork(exc) else []


def exit_with(program, exc):
    """SystemExit, as the interpreter handles it."""
    code = SystemExit.code.__get__(exc)
    if code is None:
        number = 0
    elif isinstance(code, int):
        number = int.__and__(code, 0xff) if -2**63 <= int.__index__(code) < 2**63 else 0xff
    else:
        number = 1
        stderr = getattr(sys, 'stderr', None)
        if stderr is not None:
            run['attempt'](lambda: stderr.write(str(code)))
            run['attempt'](stderr.write, '\n')
    program.exit_code = number
    program.status = 'exit' if number else 'ok'


def report(program, exc, compiling):
    trace = own_traceback(exc)
    if issubclass(type(exc), SystemExit):
        exit_with(program, exc)
        return
    program.status = 'error'
    program.exit_code = 1
    program.error = {'type': type_name(exc), 'message': message_of(exc), 'traceback': '',
                     'line': line_of(exc, trace, program.filename, compiling)}
    program.limits_hit = limits_of(exc)
    program.error['traceback'] = show(program, exc, trace)
    if program.status == 'exit':  # an excepthook raised SystemExit
        program.error = None


def describe(exc, line=0):
    text = message_of(exc)
    return {'type': type_name(exc), 'message': text, 'traceback': f'{type_name(exc)}: {text}\n',
            'line': line}


def not_returned(program, exc):
    """The result could not be converted."""
    program.status = 'error'
    program.exit_code = 1
    program.error = describe(exc)
    program.limits_hit = program.limits_hit + limits_of(exc)


def not_begun(exc):
    """The request could not be taken: inputs that mean nothing, or files that do not fit."""
    error = describe(exc)
    if issubclass(type(exc), ValueError):
        error['type'] = 'InputError'
    psb.emit_end({'status': 'error', 'exit_code': 1, 'error': error, 'limits_hit': limits_of(exc),
                  'denied_imports': [], 'has_result': False})
