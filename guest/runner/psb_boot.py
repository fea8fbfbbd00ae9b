"""Loads the inner runner without touching sys.path or sys.modules.

A program finds a plain interpreter, and the runner's parts have private copies of the builtins and
of the modules they live on: what a program does to its own does not reach them. All of it is guest
code and trusted by nobody.
"""
import _frozen_importlib_external as external
import _imp
import _signal
import _thread
import gc
import marshal
import posix
import sys

# folder and a private __builtins__ are given by psb_start.
Namespace = type(sys.implementation)
tag = sys.implementation.cache_tag


def read(path):
    with external._io.FileIO(path, 'rb') as file:
        return file.readall()


def fetch(name):
    """The bytes of one part; compiled ahead where this interpreter has its cache."""
    try:
        data = read(f'{folder}/__pycache__/{name}.{tag}.pyc')
        if data[:4] == external.MAGIC_NUMBER:
            return data
    except OSError:
        pass
    return read(f'{folder}/{name}.py')


def load(name, data, names):
    """Runs one part; its namespace is in no module table."""
    if data[:4] == external.MAGIC_NUMBER:
        code = marshal.loads(data[16:])
    else:
        code = compile(data, f'{folder}/{name}.py', 'exec', dont_inherit=True)
    space = {'__name__': name, '__builtins__': __builtins__, **names}
    exec(code, space)
    return space


def start(argv):
    spec = external.spec_from_file_location('_psb', f'{folder}/_psb.abi3.so')
    psb = _imp.create_dynamic(spec)
    _imp.exec_dynamic(psb)
    names = {'psb': psb, 'fetch': fetch, 'load': load}
    for module in (_signal, _thread, gc, posix):
        names[module.__name__] = Namespace(**module.__dict__)
    preloads = [name for name in argv[1:2] and argv[1].split(',') if name]
    space = load('psb_run', fetch('psb_run'), names)
    machine = argv[3:4] == ['machine']
    space['become_ready'](preloads, argv[2:3] == ['1'], machine, argv[4:5] if machine else argv[3:4])
    psb.run_between(space['begin'], space['raised'], space['closing'], space['settle'], space['end'],
                    sys.settrace, sys.setprofile)
    return psb.run


run = start(sys.argv)
