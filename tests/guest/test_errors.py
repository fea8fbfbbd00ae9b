"""Exceptions: types, messages, lines, tracebacks, limits."""
import pathlib
import subprocess
import unittest

from harness import GuestCase

TRACEBACKS = {
    'plain': 'def f(a):\n    return a[0] + 1 / 0\n\nf([1])',
    'cause': 'def f():\n    try:\n        {}["k"]\n    except KeyError as e:\n'
             '        raise ValueError("outer") from e\nf()',
    'context': 'try:\n    int("x")\nexcept ValueError:\n    [][3]',
    'suppressed': 'try:\n    int("x")\nexcept ValueError:\n    raise OSError(2, "no") from None',
    'recursion': 'def f():\n    f()\nf()',
    'mutual': 'def f(n):\n    return g(n)\ndef g(n):\n    return f(n)\nf(1)',
    'syntax': 'x = 1\nif x\n    y = 2',
    'indentation': 'def f():\nreturn 1',
    'tabs': 'if 1:\n\tx = 1\n        y = 2',
    'unterminated': 'x = "abc\n',
    'brackets': 'x = (1,\n2',
    'runtime syntax': 'x = 1\neval("1 +")',
    'exec': 'exec("def g():\\n    1/0\\ng()")',
    'name': 'counter = 1\nprint(countr)',
    'attribute': 'import math\nmath.sqr(4)',
    'class': 'class MyError(Exception):\n    pass\nraise MyError("a", 2)',
    'nested class': 'class A:\n    class B(Exception): pass\nraise A.B("x")',
    'no message': 'raise KeyError',
    'multi-line message': 'raise ValueError("a\\nb\\n")',
    'unicode': 's = "\xe9\u20ac"\nraise ValueError(s, 1 / 1)\n',
    'assertion': 'x = 3\nassert x == 4, f"{x} is wrong"',
    'lambda': '(lambda x: x / 0)(1)',
    'comprehension': '[1 / x for x in (1, 0)]',
    'generator': 'def g():\n    yield 1\n    raise ValueError("in g")\nlist(g())',
    'stdlib': 'import json\njson.loads("{")',
    'base exception': 'class E(BaseException): pass\nraise E',
    'keyboard': 'raise KeyboardInterrupt',
    'evil str': 'class E(Exception):\n    def __str__(self): raise KeyError\nraise E',
    'str that is no str': 'class E(Exception):\n    def __str__(self): return 5\nraise E',
    'long line': 'x = ' + '1 + ' * 200 + 'y',
    'import': 'import no_such_module_here',
    'from import': 'from math import nothing_of_that_name',
    'decorated': 'def d(f):\n    def w(*a):\n        return f(*a)\n    return w\n'
                 '@d\ndef f(x):\n    raise RuntimeError(x)\n\n\nf(1)',
    'crlf': 'x = 1\r\ny = 2\r\nz = x / (y - 2)\r\n',
    'group': 'raise ExceptionGroup("many", [ValueError(1), TypeError(2)])',
    'note': 'e = ValueError("x")\ne.add_note("a note")\nraise e',
}

LINES = {
    'x = 1\n\n1/0': 3, 'def f():\n    1/0\n\nf()': 2, 'x = = 1': 1, 'a = 1\nb = 2\nif': 3,
    'import json\n\njson.loads("{")': 3, 'x = 1\neval("1 +")': 2,
    'x = 1\n\nexec("\\n\\n\\n1/0")': 3, '\n\nraise KeyboardInterrupt': 3,
    'def f(n):\n    return f(n + 1)\nf(0)': 2,
    'x = 1\nraise SyntaxError("mine")': 2,
}

LIMITS = {
    'raise MemoryError': ['memory'],
    'class M(MemoryError): pass\nraise M("x")': ['memory'],
    'raise OSError(28, "No space left on device")': ['workspace'],
    'raise OSError(122, "x")': ['workspace'], 'raise OSError(27, "x")': ['workspace'],
    'raise OSError(24, "Too many open files")': ['open_files'],
    'raise BlockingIOError(11, "Resource temporarily unavailable")': [],
    'def fork(): raise BlockingIOError(11, "x")\nfork()': [],
    'import os\nos.fork = lambda: 1\nos.fork()\nraise BlockingIOError(11, "x")': ['processes'],
    'import os\nr, w = os.pipe()\nos.set_blocking(r, False)\nos.read(r, 1)': [],
    'raise RuntimeError("can\'t start new thread")': ['processes'],
    'raise OSError(2, "x")': [], 'raise OSError("x")': [], 'raise ValueError(28)': [],
    'try:\n    raise MemoryError\nexcept MemoryError:\n    raise ValueError': [],
}


class Tracebacks(GuestCase):
    maxDiff = None

    def plain_python(self, source):
        """What the interpreter prints of the same program in a file."""
        path = pathlib.Path(self.base) / 'plain.py'
        path.write_bytes(source.encode())
        done = subprocess.run([self.python, '-I', path.name], cwd=self.base, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, encoding='utf-8',
                              env={'LC_ALL': 'C.UTF-8'}, check=False)
        return done.stderr.replace(str(path), 'main.py').replace('plain.py', 'main.py')

    def test_they_look_as_always(self):
        for name, source in TRACEBACKS.items():
            for single in ('1', '0'):
                with self.subTest(name=name, single=single):
                    outcome = self.run_code(source, single=single)
                    expected = self.plain_python(source)
                    self.assertEqual(outcome.status, 'error')
                    self.assertEqual(outcome.error['traceback'], expected)
                    self.assertEqual(outcome.stderr, expected)

    def test_lines(self):
        for source, line in LINES.items():
            with self.subTest(source=source):
                outcome = self.run_code(source)
                self.assertEqual(outcome.status, 'error')
                self.assertEqual(outcome.error['line'], line, outcome.error)

    def test_nul(self):
        outcome = self.run_code(b'x = 1\ny = "\0"\n')
        self.assertEqual(outcome.status, 'error')
        self.assertIn(outcome.error['type'], ('ValueError', 'SyntaxError'))
        self.assertIn('null bytes', outcome.error['message'])

    def test_undecodable_source(self):
        outcome = self.check_error(b'x = 1\ns = "\xff"\n', 'SyntaxError')
        self.assertIn('utf-8', outcome.error['message'])
        self.check_error(b'# coding: no-such-codec\n', 'SyntaxError')

    def test_limits(self):
        for source, limits in LIMITS.items():
            with self.subTest(source=source):
                outcome = self.run_code(source)
                self.assertEqual(outcome.status, 'error')
                self.assertEqual(outcome.end['limits_hit'], limits)

    def test_open_files_are_used_up(self):
        for single in ('1', '0'):
            outcome = self.check_error(
                'import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))\n'
                'import os\nfds = []\nwhile True: fds.append(os.dup(0))', 'OSError', single=single)
            self.assertEqual(outcome.end['limits_hit'], ['open_files'])
            self.assertEqual(outcome.error['line'], 5)

    def test_memory_is_used_up(self):
        for single in ('1', '0'):
            outcome = self.check_error(
                'import resource\nresource.setrlimit(resource.RLIMIT_AS, (150 << 20, 150 << 20))\n'
                'a = []\nwhile True: a.append("x" * 1000 + str(len(a)))', 'MemoryError',
                single=single)
            self.assertEqual(outcome.end['limits_hit'], ['memory'])

    def test_long_texts_are_capped(self):
        outcome = self.check_error('raise ValueError("\u20ac" * 3_000_000 + "END")', 'ValueError')
        self.assertLessEqual(len(outcome.error['message'].encode()), 8192)
        self.assertLessEqual(len(outcome.error['traceback'].encode()), 65536)
        self.assertIn('END', outcome.error['traceback'])
        outcome = self.check_error(
            'e = None\nfor i in range(3000):\n    n = ValueError("x" * 100)\n'
            '    n.__cause__ = e\n    e = n\nraise e', 'ValueError')
        self.assertLessEqual(len(outcome.error['traceback'].encode()), 65536)

    def test_evil_exceptions(self):
        for source, kind in (
                ('class M(type):\n    def __getattribute__(c, n): raise SystemExit(9)\n'
                 'class E(Exception, metaclass=M): pass\nraise E', 'E'),
                ('class E(Exception):\n    def __getattribute__(s, n): raise SystemExit(9)\nraise E',
                 'E'),
                ('class E(Exception):\n    __class__ = property(lambda s: 1 / 0)\nraise E', 'E'),
                ('class E(SyntaxError):\n    lineno = filename = text = property(lambda s: 1 / 0)\n'
                 'raise E("x")', 'E'),
                ('class E(OSError):\n    errno = property(lambda s: 1 / 0)\nraise E(28, "x")', 'E'),
                ('class E(Exception):\n    def __str__(s): exit(3)\n    __repr__ = __str__\nraise E',
                 'E'),
                ('e = ValueError("loop")\ne.__cause__ = e\nraise e', 'ValueError'),
                ('a, b = ValueError("a"), ValueError("b")\na.__context__ = b\nb.__context__ = a\n'
                 'raise a', 'ValueError'),
                ('class S(str):\n    def __getitem__(s, i): 1 / 0\n    encode = __getitem__\n'
                 'class E(Exception):\n    def __str__(s): return S("x")\nraise E', 'E')):
            for single in ('1', '0'):
                with self.subTest(source=source, single=single):
                    outcome = self.check_error(source, kind, single=single)
                    self.assertTrue(outcome.error['traceback'])

    def test_excepthook(self):
        outcome = self.check_error(
            'import sys\nsys.excepthook = lambda t, v, tb: print("hook", t.__name__, v,'
            ' tb.tb_lineno)\n1/0', 'ZeroDivisionError')
        self.assertEqual((outcome.stdout, outcome.stderr),
                         ('hook ZeroDivisionError division by zero 3\n', ''))
        self.assertIn('1/0', outcome.error['traceback'])
        outcome = self.check_error('import sys\ndef h(*a): raise KeyError("in hook")\n'
                                   'sys.excepthook = h\n1/0', 'ZeroDivisionError')
        self.assertIn('Error in sys.excepthook:\n', outcome.stderr)
        self.assertIn('KeyError', outcome.stderr)
        self.assertIn('Original exception was:\n', outcome.stderr)
        outcome = self.run_code('import sys\ndef h(*a): sys.exit(7)\nsys.excepthook = h\n1/0')
        self.assertEqual((outcome.status, outcome.end['exit_code']), ('exit', 7))

    def test_redirected_stderr(self):
        outcome = self.check_error('import sys, io\nsys.stderr = s = io.StringIO()\nimport atexit\n'
                                   'atexit.register(lambda: print(s.getvalue()))\n1/0',
                                   'ZeroDivisionError')
        self.assertEqual(outcome.stderr, '')
        self.assertIn('ZeroDivisionError', outcome.stdout)

    def test_the_program_sees_its_own_lines(self):
        self.check_ok(
            'import traceback, inspect\ndef f():\n    1 / 0  # here\ntry:\n    f()\n'
            'except ZeroDivisionError:\n    t = traceback.format_exc()\n'
            'result = ["1 / 0  # here" in t, inspect.getsource(f)]',
            [True, 'def f():\n    1 / 0  # here\n'])


if __name__ == '__main__':
    unittest.main()
