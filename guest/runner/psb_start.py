"""Entry of the inner runner: python -I -S psb_start.py PRELOADS SINGLE.

It loads `_psb` and psb_run without touching sys.path or sys.modules, so that a program finds a
plain interpreter, and gives the runner's parts a private copy of the builtins: what a program does
to its own does not reach them. All of it is guest code and trusted by nobody.
"""
import sys


def start(folder, argv):
    import _frozen_importlib_external as external
    import _imp
    import builtins
    import marshal

    private = dict(builtins.__dict__)

    def read(path):
        with external._io.FileIO(path, 'rb') as file:
            return file.readall()

    def fetch(name):
        """The bytes of one part; compiled ahead where this interpreter has its cache."""
        tag = sys.implementation.cache_tag
        try:
            data = read(f'{folder}/__pycache__/{name}.{tag}.pyc')
            if data[:4] == external.MAGIC_NUMBER:
                return data
        except OSError:
            pass
        return read(f'{folder}/{name}.py')

    def load(name, data, names):
        if data[:4] == external.MAGIC_NUMBER:
            code = marshal.loads(data[16:])
        else:
            code = compile(data, f'{folder}/{name}.py', 'exec', dont_inherit=True)
        space = {'__name__': name, '__builtins__': private, **names}
        exec(code, space)
        return space

    spec = external.spec_from_file_location('_psb', f'{folder}/_psb.abi3.so')
    psb = _imp.create_dynamic(spec)
    _imp.exec_dynamic(psb)
    names = {'psb': psb, 'fetch': fetch, 'load': load}
    preloads = [name for name in argv[1:2] and argv[1].split(',') if name]
    load('psb_run', fetch('psb_run'), names)['main'](preloads, argv[2:3] == ['1'])


start(__file__.rpartition('/')[0] or '.', sys.argv)
