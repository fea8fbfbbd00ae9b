"""What happens once per template, to its modules, and in each instance between its fork and its
request: fresh randomness, warm pages.

A preloaded module that keeps random state of its own renews it with
os.register_at_fork(after_in_child=...), which runs before anything here.
"""
import _io
import builtins

# Given: psb, run (the namespace of psb_run) and a copy of posix.
PROGRAM = b'''
import sys
def f(a, b=2, *c, **d):
    return [x * b for x in range(a)] + list(c)
class C:
    def __init__(self, x):
        self.x = x
try:
    result = {'a': f(8), 'b': C(1.5).x, 'c': 'text' + str(len(sys.argv)), 'd': (None, True)}
    raise ValueError('x')
except ValueError as exc:
    text = f'{exc} {result}'
print(text, file=stream)
'''


def name_a_temporary_folder():
    """A template has none that can be written; modules that ask for its name must load anyway."""
    import tempfile
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = '/tmp'


def load_modules(preloads, modules):
    __import__('site').main()
    name_a_temporary_folder()
    for name in preloads:
        __import__(name)
    numpy = modules.get('numpy')
    if numpy:
        square = numpy.ones((64, 64))
        numpy.dot(square, square)


def reseed_random(module):
    module.seed()


def reseed_openssl(module):
    module.RAND_add(posix.urandom(32), 32.0)


def reseed_uuid(module):
    """The node, the last time, and libuuid's clock sequence, which a fork shares: do without."""
    module._last_timestamp = None
    module._node = None
    module._generate_time_safe = None


def reseed_tempfile(module):
    module._name_sequence = None
    module.tempdir = None


RENEWALS = (('random', reseed_random), ('numpy.random', reseed_random), ('uuid', reseed_uuid),
            ('tempfile', reseed_tempfile), ('_ssl', reseed_openssl))


def renewals(modules):
    """What has to be done, to which of the modules that are loaded by now."""
    return [(renew, modules[name]) for name, renew in RENEWALS if modules.get(name) is not None]


def reseed(modules):
    for renew, module in renewals(modules):
        renew(module)


def warm_numpy(numpy):
    square = numpy.arange(10000, dtype=float).reshape(100, 100)
    (square @ square).sum()
    numpy.linspace(0, 1, 16).mean()


def warm_pandas(pandas):
    frame = pandas.DataFrame({'a': [1, 2, 1, 2], 'b': [1.0, 2.0, 3.0, 4.0]})
    frame.groupby('a')['b'].mean().to_dict()


def warm_plain():
    stream = _io.TextIOWrapper(_io.BytesIO(), encoding='utf-8')
    space = {'__name__': 'warm', '__builtins__': builtins, 'stream': stream}
    exec(psb.compile(PROGRAM, b'warm'), space)
    psb.emit_nowhere(space['result'], run['convert'])


def warm_modules(modules):
    if 'numpy' in modules:
        run['attempt'](warm_numpy, modules['numpy'])
    if 'pandas' in modules:
        run['attempt'](warm_pandas, modules['pandas'])


def warm(modules):
    run['attempt'](warm_plain)
    warm_modules(modules)
