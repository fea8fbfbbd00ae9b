"""The life of an instance: prepare, serve, warm up, run one program, report.

Trust: nobody believes this code. It only has to report truly on programs that do not attack it,
and to survive those that break builtins, sys or io by the way. Hence the private builtins
(psb_boot), references taken before the program runs, and the encoding and framing in C.
"""
import _io
import builtins
import sys

# Given by psb_boot: psb, fetch, load and copies of _signal, _thread, gc and posix.
modules = sys.modules
machine = False  # in a virtual machine: one snapshot serves all executions
program = None
renewals = ()  # of a machine: what has to be renewed for each request
first_main = modules.get('__main__')  # still runs when the program's takes its name: kept alive
parts = {}
run = globals()
fetched = {}
flush_text = _io.TextIOWrapper.flush
ModuleType = type(sys)
out = sys.stdout
err = sys.stderr
excepthook = sys.__excepthook__
version = sys.version_info
get_int_digits = getattr(sys, 'get_int_max_str_digits', int)
set_int_digits = getattr(sys, 'set_int_max_str_digits', int)
real_open = _io.open
setrecursionlimit = sys.setrecursionlimit
recursion_limit = sys.getrecursionlimit()
BALLAST_BYTES = 4 << 20
LAST_SIGNAL = 64
KEPT_ENVIRONMENT = ('MALLOC_', 'OPENBLAS_', 'OMP_', 'MKL_', 'NUMEXPR_')


def part(name):
    """The namespace of another part of the runner, loaded when first asked for."""
    if name not in parts:
        given = {'run': run, 'psb': psb, 'posix': posix, '_thread': _thread, 'modules': modules}
        parts[name] = load(name, fetched.get(name) or fetch(name), given)
    return parts[name]


# --- before the program ---------------------------------------------------------------------


class SiteFinder:
    """The last finder: the first import that fails processes site, then looks again."""

    def find_spec(self, name, path=None, target=None):
        if path is not None or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        __import__('site').main()
        for finder in sys.meta_path:
            spec = finder.find_spec(name, None, target)
            if spec is not None:
                return spec
        return None


class Quitter:
    """exit and quit without site."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f'Use {self.name}() or Ctrl-D (i.e. EOF) to exit'

    def __call__(self, code=None):
        raise SystemExit(code)


class Late:
    """help, copyright, credits and license: made by site when used."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return repr(self.real())

    def __call__(self, *args, **kwargs):
        return self.real()(*args, **kwargs)

    def real(self):
        import site
        site.setcopyright()
        site.sethelper()
        return getattr(builtins, self.name)


def prepare_bare():
    sys.meta_path.append(SiteFinder())
    for name in ('exit', 'quit'):
        setattr(builtins, name, Quitter(name))
    for name in ('help', 'copyright', 'credits', 'license'):
        setattr(builtins, name, Late(name))


def prepare(preloads, single, imports):
    import faulthandler
    if preloads:
        part('psb_warm')['load_modules'](preloads, modules)
    else:
        prepare_bare()
    faulthandler.enable(250, all_threads=False)
    for stream, errors in ((out, 'surrogateescape'), (err, 'backslashreplace')):
        if stream is not None:
            stream.reconfigure(encoding='utf-8', errors=errors, line_buffering=True)
    for name in ('psb_errors', 'psb_values', 'psb_imports'):
        fetched[name] = fetch(name)
    if not single:
        for name in ('psb_errors', 'psb_values', 'psb_imports', 'psb_warm'):
            part(name)
        if imports:
            part('psb_imports')['expect'](imports[0])
        gc.collect()


def become_ready(preloads, single, in_machine, imports):
    global machine, program, renewals
    machine = in_machine
    prepare(preloads, single, imports)
    if machine:  # the snapshot is taken where the request is read
        part('psb_warm')['warm'](modules)
        renewals = part('psb_warm')['renewals'](modules)
        program = Program(False)
        return
    slot = psb.serve(single)
    if preloads or not single:
        part('psb_warm')['reseed'](modules)
    if not single and not psb.is_scout() and not psb.is_populated():
        part('psb_warm')['warm'](modules)
    program = Program(single)
    psb.ready(slot)


# --- the program ----------------------------------------------------------------------------


class SourceLoader:
    """__loader__ of the program's __main__: lets linecache, inspect and traceback see its lines."""

    def __init__(self, source, filename):
        self._source = source
        self._filename = filename

    def get_source(self, name=None):
        text = _io.IncrementalNewlineDecoder(None, True)
        return text.decode(self._decoded(), final=True)

    def _decoded(self):
        try:
            return self._source.decode('utf-8-sig')
        except UnicodeDecodeError:
            import tokenize
            coding, _ = tokenize.detect_encoding(_io.BytesIO(self._source).readline)
            return self._source.decode(coding)

    def get_filename(self, name=None):
        return self._filename


def revive(value):
    return part('psb_values')['revive'](value)


def convert(value):
    return part('psb_values')['convert'](value)


def set_environment(wanted):
    """posix.environ is what os.environ is, or will be, made of."""
    environ = posix.environ
    for key, value in wanted.items():
        key = key.encode('utf-8', 'surrogateescape')
        value = value.encode('utf-8', 'surrogateescape')
        posix.putenv(key, value)
        environ[key] = value


def make_environment(cwd):
    temporary = cwd.rpartition('/')[0] + '/tmp'
    if not posix.access(temporary, posix.W_OK):
        temporary = '/tmp'
    environ = posix.environ
    for key in list(environ):
        if not key.decode('utf-8', 'replace').startswith(KEPT_ENVIRONMENT):
            posix.unsetenv(key)
            del environ[key]
    set_environment({'HOME': cwd, 'PATH': '/usr/local/bin:/usr/bin:/bin', 'LANG': 'C.UTF-8',
                     'TMPDIR': temporary})


def make_main(loader, filename):
    module = ModuleType('__main__')
    module.__dict__.update(__loader__=loader, __annotations__={}, __builtins__=builtins,
                           __file__=filename, __cached__=None)
    modules['__main__'] = module
    return module


def compile_source(source, filename):
    if b'\0' in source or '\0' in filename:
        return compile(source, filename, 'exec', dont_inherit=True)
    return psb.compile(source, filename.encode('utf-8', 'surrogateescape'))


class Program:
    """What is known of the program that runs; one per instance. All that does not depend on the
    request is made before it comes."""

    def __init__(self, single):
        self.pid = posix.getpid()
        self.cwd = posix.getcwd()
        self.denied = []
        self.status = 'ok'
        self.exit_code = 0
        self.error = None
        self.limits_hit = []
        self.value = self  # the result; itself: there is none
        self.has_result = False
        self.ballast = bytes(BALLAST_BYTES)  # given back to report on a MemoryError; never touched
        self.source = b''
        self.cap = 1 << 24
        self.filename = 'main.py'
        sys.path.insert(0, self.cwd)
        sys.argv = [self.filename]
        sys.orig_argv = [sys.executable, self.filename]
        sys.dont_write_bytecode = True
        make_environment(self.cwd)
        if not single:
            part('psb_imports')['judge_for'](self)
        gc.freeze()  # what is made from here on is the program's, and goes when it ends
        self.loader = SourceLoader(self.source, self.filename)
        self.main = make_main(self.loader, self.filename)

    def accept(self, source, inputs, options, cap):
        self.source = self.loader._source = source
        self.cap = cap
        filename = options.get('filename') or self.filename
        if filename != self.filename:
            self.rename(filename)
        self.fill_main(inputs or {})
        env = options.get('env')
        if env:
            set_environment(env)
        imports = options.get('imports')
        if imports is not True:  # not the expected list, which is installed
            part('psb_imports')['install'](self, imports or {})

    def rename(self, filename):
        self.filename = self.loader._filename = self.main.__dict__['__file__'] = filename
        sys.argv = [filename]
        sys.orig_argv = [sys.executable, filename]

    def fill_main(self, inputs):
        space = self.main.__dict__
        for name, value in inputs.items():
            if name not in space:
                space[name] = value
        space['inputs'] = inputs

    def compile(self):
        """(code, names), or None when it is no program."""
        try:
            return compile_source(self.source, self.filename), self.main.__dict__
        except BaseException as exc:
            self.raised(exc, True)
        return None

    def raised(self, exc, compiling):
        self.ballast = None
        for _ in range(20):  # a signal handler of the program may interrupt
            try:
                part('psb_errors')['report'](self, exc, compiling)
                return
            except BaseException as again:
                trouble = again
        self.status, self.exit_code = 'error', 1
        self.error = {'type': type(trouble).__name__, 'message': 'the error could not be described',
                      'traceback': '', 'line': 0}

    def end_dict(self):
        end = {'status': self.status, 'exit_code': self.exit_code, 'limits_hit': self.limits_hit,
               'denied_imports': self.denied, 'has_result': self.has_result}
        if self.error:
            end['error'] = self.error
        return end

    def emit_result(self, value):
        try:
            psb.emit_result(value, convert)
            self.has_result = True
        except BaseException as exc:
            self.ballast = None
            if self.status == 'ok':
                part('psb_errors')['not_returned'](self, exc)


# --- after the program ----------------------------------------------------------------------


def attempt(function, *args):
    """What the program left behind must not stop the end."""
    try:
        return function(*args)
    except BaseException:
        return None


def join_threads():
    threading = modules.get('threading')
    if threading:
        threading._shutdown()


def run_exit_functions():
    atexit = modules.get('atexit')
    if atexit:
        atexit._run_exitfuncs()


def flush_streams():
    for stream in (getattr(sys, 'stdout', None), getattr(sys, 'stderr', None)):
        if stream is not None and stream is not out and stream is not err:
            attempt(stream.flush)
    for stream in (out, err):
        if stream is not None:
            attempt(flush_text, stream)


def settle():
    """No handler of the program and no short recursion limit from here on. Python's own for SIGINT
    stays in a machine, unless a thread is left that could ask for it: nobody else can."""
    setrecursionlimit(recursion_limit)
    spared = _signal.default_int_handler if machine and not _thread._count() else None
    psb.ignore_handled(_signal.getsignal, _signal.signal, _signal.SIG_IGN, spared, LAST_SIGNAL)


def clear_space(space):
    for name in list(space):
        if name[:1] == '_' and name != '__builtins__':
            space[name] = None
    for name in list(space):
        if name != '__builtins__':
            space[name] = None


def tear_down(program):
    """Drops __main__, as the end of an interpreter does: files are closed, __del__ runs.

    The first collection, also the interpreter's way, puts a file before its buffer in the
    collector's order: closed the other way round it would lose what is not yet written.
    """
    loader = program.loader
    gc.collect()
    modules.pop('__main__', None)
    program.main = None
    gc.collect()
    if _thread._count() > 0:
        return
    for space in gc.get_referrers(loader):
        if type(space) is dict and space.get('__loader__') is loader:
            clear_space(space)


def leave(program):
    """A process forked by the program comes to its end here too: it must stay silent."""
    if not machine and posix.getpid() != program.pid:
        attempt(flush_streams)
        posix._exit(program.exit_code)


def take_result():
    program.value = program.main.__dict__.get('result', program)


closing = (join_threads, take_result, run_exit_functions)  # then settle(); called by run.c


def finish(program):
    attempt(flush_streams)
    leave(program)
    if program.value is not program:
        program.emit_result(program.value)
    program.value = None
    attempt(tear_down, program)
    attempt(flush_streams)


# Made in advance: when memory is used up even the report may find none.
OUT_OF_MEMORY_END = {
    'status': 'error', 'exit_code': 1, 'limits_hit': ['memory'], 'denied_imports': [],
    'has_result': False,
    'error': {'type': 'MemoryError', 'message': '', 'traceback': '', 'line': 0}}


def begin():
    """Called by psb.run, which then runs what it returns, below no frame of ours."""
    sys.excepthook = excepthook
    for name in ('last_type', 'last_value', 'last_traceback', 'last_exc'):
        if hasattr(sys, name):
            delattr(sys, name)
    try:
        request = psb.read_request(revive, machine)
    except EOFError:
        posix._exit(0)
    except BaseException as exc:
        part('psb_errors')['not_begun'](exc)
    for renew, module in renewals:
        renew(module)
    program.accept(*request)
    return program.compile()


def raised(error):
    program.raised(error, False)


def end(is_reported):
    """The last: nothing comes after it. What the program raised is reported, if it could be."""
    try:
        attempt(finish, program)
        frame = program.end_dict() if is_reported else OUT_OF_MEMORY_END
    except MemoryError:
        frame = OUT_OF_MEMORY_END
    if psb.is_scout():
        part('psb_warm')['warm'](modules)
    psb.emit_end(frame)
