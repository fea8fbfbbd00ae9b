"""How programs run and how they end."""
import os
import unittest

from harness import GuestCase, interpreters


class Run(GuestCase):
    def test_plain_value(self):
        for single in ('1', '0'):
            outcome = self.check_ok('result = {"n": a + 1}\nprint("hi")', {'n': 42},
                                    inputs={'a': 41}, single=single)
            self.assertEqual(outcome.stdout, 'hi\n')
            self.assertEqual(outcome.stray, b'')

    def test_no_result(self):
        outcome = self.check_ok('x = 1\n3 + 4')
        self.assertFalse(outcome.end['has_result'])
        self.assertEqual(outcome.result_bytes, b'')
        self.check_ok('result = None', None)

    def test_main_is_a_real_module(self):
        self.check_ok(
            'import sys, pickle\n'
            'from dataclasses import dataclass\n'
            '@dataclass\nclass P:\n    x: int\n'
            'm = sys.modules["__main__"]\n'
            'import __main__\n'
            'result = [__name__, m.P is P, __main__ is m, pickle.loads(pickle.dumps(P(3))).x,\n'
            '  __file__, sys.argv, __builtins__.len([1]), sys.path[0] == __import__("os").getcwd(),\n'
            '  __doc__, __spec__, __package__]',
            ['__main__', True, True, 3, 'prog.py', ['prog.py'], 1, True, None, None, None],
            options={'filename': 'prog.py'})

    def test_inputs(self):
        self.check_ok('result = [a, b, inputs]', [1, 'x', {'a': 1, 'b': 'x'}],
                      inputs={'a': 1, 'b': 'x'})
        self.check_ok('result = [__name__, inputs["__name__"]]', ['__main__', 'evil'],
                      inputs={'__name__': 'evil'})
        self.check_ok('result = inputs', {})

    def test_source_forms(self):
        for source, expected in (
                (b'\xef\xbb\xbfresult = "\xc3\xa9"', '\xe9'),
                (b'a = 1\r\nresult = """x\r\ny"""\r\n', 'x\ny'),
                (b'# -*- coding: latin-1 -*-\nresult = "\xe9"', '\xe9'),
                (b'result = 1 # no newline', 1),
                (b'a = 1\rresult = a', 1)):
            with self.subTest(source=source):
                self.check_ok(source, expected)
        self.check_ok('', ...)
        big = 'x = 1\n' * 400_000 + 'result = x'
        self.check_ok(big, 1)

    def test_site_is_lazy(self):
        self.check_ok('import sys\nresult = "site" in sys.modules', False)
        self.check_ok('import sys, json, re\nresult = "site" in sys.modules', False)
        self.check_ok(
            'import sys\ntry:\n    import no_such_module\nexcept ImportError as e: t = str(e)\n'
            'result = ["site" in sys.modules, t]', [True, "No module named 'no_such_module'"])
        self.check_ok('result = [repr(exit), callable(help), bool(repr(license))]',
                      ['Use exit() or Ctrl-D (i.e. EOF) to exit', True, True])

    def test_workspace_modules_and_files(self):
        files = [('helper.py', b'def f():\n    return 7\n'), ('data/a/b.txt', b'x' * 200_000),
                 ('empty', b'')]
        outcome = self.check_ok(
            'import helper, os\nresult = [helper.f(), len(open("data/a/b.txt").read()),\n'
            '  os.path.getsize("empty")]', [7, 200_000, 0], files=files)
        self.assertFalse((outcome.workspace / '__pycache__').exists())

    def test_unsafe_file_names(self):
        for name in ('../x', '/tmp/psb-guest-x', 'a/../../x', '..', ''):
            outcome = self.run_code('result = 1', files=[(name, b'1')])
            self.assertIsNone(outcome.end)
            self.assertFalse((outcome.workspace.parent / 'x').exists())

    def test_environment(self):
        outcome = self.check_ok(
            'import os\nresult = dict(os.environ)', options={'env': {'A': 'b', 'HOME': '/x'}})
        env = outcome.result
        self.assertEqual((env['A'], env['HOME'], env['LANG']), ('b', '/x', 'C.UTF-8'))
        self.assertEqual(set(env), {'A', 'HOME', 'LANG', 'PATH', 'TMPDIR', 'OPENBLAS_NUM_THREADS'})

    def test_temporary_folder_is_the_instance_s(self):
        """Even when a template without any had a module ask for it."""
        for single in ('1', '0'):
            outcome = self.check_ok('import os, tempfile\nresult = [tempfile.tempdir,\n'
                                    '  tempfile.gettempdir() == os.environ["TMPDIR"]]',
                                    preload='tempfile', single=single)
            self.assertEqual(outcome.result, [None, True])

    def test_stdin_is_empty(self):
        self.check_ok('import sys\nresult = sys.stdin.read()', '')
        self.check_error('input()', 'EOFError')

    def test_output_encoding(self):
        outcome = self.check_ok('import sys\nprint("\\xe9\\u20ac\\udc80")\n'
                                'print("\\ud800", file=sys.stderr)')
        self.assertEqual(outcome.stdout, '\xe9\u20ac\udc80\n')
        self.assertEqual(outcome.stderr, '\\ud800\n')

    def test_lines_are_sent_as_they_come(self):
        outcome = self.run_code('import os\nprint("first")\nos._exit(9)')
        self.assertEqual((outcome.stdout, outcome.code, outcome.end), ('first\n', 9, None))

    def test_warm_up_leaves_no_trace(self):
        for preload in ('', 'json'):
            outcome = self.check_ok(
                'import sys\nresult = [sorted(globals()), "stream" in globals(), sys.argv]',
                single='0', preload=preload)
            self.assertNotIn('C', outcome.result[0])
            self.assertEqual((outcome.stdout, outcome.stderr), ('', ''))

    def test_runner_is_not_in_sight(self):
        self.check_ok('import sys\nresult = [m for m in sys.modules if "psb" in m]', [])


class Exits(GuestCase):
    def check_exit(self, source, code):
        outcome = self.run_code(source)
        self.assertEqual(outcome.ends, 1)
        expected = 'exit' if code else 'ok'
        self.assertEqual((outcome.status, outcome.end['exit_code']), (expected, code))
        self.assertNotIn('error', outcome.end)
        return outcome

    def test_system_exit(self):
        for argument, code in (('', 0), ('0', 0), ('None', 0), ('3', 3), ('-1', 255), ('256', 0),
                               ('2**80', 255), ('True', 1), ('False', 0), ('"bye"', 1), ('[1]', 1),
                               ('(5,)', 5)):
            with self.subTest(argument=argument):
                self.check_exit(f'import sys\nresult = 1\nsys.exit({argument})', code)
        self.assertEqual(self.check_exit('raise SystemExit("bye")', 1).stderr, 'bye\n')
        self.check_exit('exit(4)', 4)
        self.check_exit('quit()', 0)

    def test_result_survives_exit(self):
        self.assertEqual(self.check_exit('result = 5\nraise SystemExit', 0).result, 5)
        self.assertEqual(self.check_exit('result = 5\nraise SystemExit(2)', 2).result, 5)

    def test_result_survives_an_error(self):
        self.assertEqual(self.check_error('result = 5\n1/0', 'ZeroDivisionError').result, 5)

    def test_order_of_the_end(self):
        outcome = self.check_ok(
            'import atexit, threading, time\nresult = {"v": 0}\n'
            'atexit.register(lambda: print("atexit"))\n'
            'def late():\n    time.sleep(0.2)\n    result["v"] = 1\n    print("thread")\n'
            'threading.Thread(target=late).start()\n'
            'class D:\n    def __del__(self): print("del", name)\n'
            'name = "d"\nd = D()\nprint("end")', {'v': 1})
        self.assertEqual(outcome.stdout, 'end\nthread\natexit\ndel d\n')

    def test_result_is_taken_before_atexit(self):
        self.check_ok('import atexit\nresult = 1\ndef f():\n    global result\n    result = 2\n'
                      'atexit.register(f)', 1)

    def test_files_left_open_are_written(self):
        outcome = self.check_ok('f = open("out.txt", "w")\nf.write("left open")\ndef g(): return f')
        self.assertEqual((outcome.workspace / 'out.txt').read_text(), 'left open')
        outcome = self.check_ok(
            'import signal\nf = open("out.txt", "w")\nf.write("held")\n'
            'def g(*a): return f\nsignal.signal(signal.SIGUSR1, g)\nimport sys\nsys.excepthook = g')
        self.assertEqual((outcome.workspace / 'out.txt').read_text(), 'held')

    def test_daemon_thread(self):
        self.check_ok('import threading\ndef f():\n    while True: pass\n'
                      'threading.Thread(target=f, daemon=True).start()\nresult = 1', 1)
        self.check_ok('import threading, _thread\ndef f():\n'
                      '    while True:\n        _thread.interrupt_main()\n'
                      'threading.Thread(target=f, daemon=True)\nresult = 1', 1)

    def test_timer_signals(self):
        outcome = self.run_code(
            'import signal\nresult = list(range(10000))\n'
            'def h(*a): raise RuntimeError("tick")\n'
            'signal.signal(signal.SIGALRM, h)\n'
            'signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0001)\n')
        self.assertEqual(outcome.ends, 1)
        self.assertIn(outcome.status, ('ok', 'error'))

    def test_interrupting_thread(self):
        outcome = self.run_code(
            'import threading, _thread\nresult = 1\ndef f():\n'
            '    while True:\n        _thread.interrupt_main()\n'
            'threading.Thread(target=f, daemon=True).start()\n')
        self.assertEqual(outcome.ends, 1)

    def test_forked_child_is_silent(self):
        outcome = self.check_ok(
            'import os\nresult = 1\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n'
            'else:\n    print("child")\n    result = 2\n', 1)
        self.assertIn('child', outcome.stdout)

    def test_os_exit_has_no_end_frame(self):
        outcome = self.run_code('import os\nresult = 1\nos._exit(3)')
        self.assertEqual((outcome.frames, outcome.code), ([], 3))

    def test_crash_leaves_a_trace(self):
        outcome = self.run_code('import os, signal\ndef boom():\n'
                                '    os.kill(os.getpid(), signal.SIGSEGV)\nboom()')
        self.assertIsNone(outcome.end)
        self.assertIn(b'Segmentation fault', outcome.stray)
        self.assertIn(b'in boom', outcome.stray)
        self.assertEqual(outcome.code, -11)

    def test_deep_recursion(self):
        self.check_error('def f(): f()\nf()', 'RecursionError')
        self.check_ok('def f(n): return n and f(n - 1)\nresult = f(980)', 0)
        self.check_ok('import sys\nsys.setrecursionlimit(60)\nresult = [[[[1]]]]', [[[[1]]]])


BREAKERS = {
    'builtins': 'import builtins\nfor n in list(vars(builtins)):\n'
                '    if n not in ("__import__", "setattr"): setattr(builtins, n, None)',
    'import': 'import builtins\nbuiltins.__import__ = None',
    'builtins emptied': 'import builtins\nbuiltins.__dict__.clear()',
    'modules': 'import sys\nsys.modules.clear()',
    'modules replaced': 'import sys\nsys.modules = None',
    'sys': 'import sys\nfor n in list(vars(sys)):\n    setattr(sys, n, None)',
    'sys emptied': 'import sys\nsys.__dict__.clear()',
    'json': 'import json\njson.dumps = json.loads = None',
    'io': 'import io, _io\nio.open = _io.open = _io.TextIOWrapper = _io.FileIO = None',
    'posix': 'import posix\nfor n in list(vars(posix)):\n    setattr(posix, n, None)',
    'gc': 'import gc\ngc.collect = gc.freeze = gc.get_referrers = None\ngc.disable()',
    'closed streams': 'import sys\nsys.stdout.close()\nsys.stderr.close()',
    'no streams': 'import sys\nsys.stdout = sys.stderr = None',
    'deleted streams': 'import sys\ndel sys.stdout, sys.stderr',
    'closed descriptors': 'import os\nprint("x", end="")\nos.close(0)\nos.close(1)\nos.close(2)',
    'closed all but result': 'import os\nos.closerange(0, 250)\nos.closerange(251, 1000)',
    'trace': 'import sys\ndef t(*a): raise ValueError\nsys.settrace(t)',
    'profile': 'import sys\ndef t(f, *a):\n    if f.f_code.co_name != "<module>": raise ValueError\n'
               'sys.setprofile(t)',
    'main replaced': 'import sys, types\nsys.modules["__main__"] = types.ModuleType("x")',
    'main deleted': 'import sys\ndel sys.modules["__main__"]',
    'threading': 'import threading\nthreading._shutdown = None',
    'atexit raises': 'import atexit\ndef f(): raise ValueError("late")\natexit.register(f)',
    'atexit exits': 'import atexit, sys\natexit.register(sys.exit, 5)',
    'excepthook': 'import sys\nsys.excepthook = None\nsys.unraisablehook = None',
    'stdout that raises': 'import sys\nclass S:\n    def write(self, x): raise KeyError\n'
                          '    def flush(self): raise KeyError\nsys.stdout = sys.stderr = S()',
    'evil del': 'class D:\n    def __del__(self): raise SystemExit(7)\nd = D()',
    'meta path': 'import sys\nsys.meta_path.clear()\nsys.path_hooks.clear()\nsys.path.clear()',
    'every descriptor': 'import os\nfor fd in range(3, 300):\n'
                        '    try: os.write(fd, b"{\\"status\\":\\"ok\\"}")\n'
                        '    except OSError: pass',
    'signals ignored': 'import signal\nfor s in range(1, 32):\n'
                       '    try: signal.signal(s, signal.SIG_IGN)\n'
                       '    except (OSError, ValueError): pass',
    'frames': 'import sys\nf = sys._getframe()\nwhile f.f_back:\n    f = f.f_back\n'
              '    f.f_globals.pop("part", None) if False else None',
}


class Broken(GuestCase):
    """Programs that break things by the way still get their one true outcome."""

    def test_result_after(self):
        for name, breaker in BREAKERS.items():
            for single in ('1', '0'):
                with self.subTest(name=name, single=single):
                    outcome = self.run_code(f'result = {{"v": [1, 2.5, "x"]}}\n{breaker}',
                                            single=single)
                    self.assertEqual(outcome.ends, 1, outcome.stderr)
                    self.assertEqual(outcome.status, 'ok', outcome.end)
                    self.assertEqual(outcome.result, {'v': [1, 2.5, 'x']})

    def test_error_after(self):
        for name, breaker in BREAKERS.items():
            for single in ('1', '0'):
                with self.subTest(name=name, single=single):
                    outcome = self.run_code(f'class MyError(Exception): pass\n{breaker}\n'
                                            'raise MyError("m")', single=single)
                    self.assertEqual(outcome.ends, 1, outcome.stderr)
                    self.assertEqual(outcome.status, 'error')
                    self.assertEqual(outcome.error['type'], 'MyError', outcome.error)
                    self.assertEqual(outcome.error['message'], 'm')
                    self.assertIn('MyError: m', outcome.error['traceback'])


class EveryInterpreter(GuestCase):
    def test_basics(self):
        for python in interpreters():
            if not os.access(python, os.X_OK):
                continue
            type(self).python = python
            for single in ('1', '0'):
                with self.subTest(python=python, single=single):
                    self.check_ok(
                        'import sys, datetime\nprint("hi")\n'
                        'result = [n, datetime.date(2024, 1, 2), 2**70, {"$type": 1}]',
                        [5, {'$type': 'date', 'value': '2024-01-02'},
                         {'$type': 'int', 'value': str(2**70)},
                         {'$type': 'dict', 'value': [['$type', 1]]}],
                        inputs={'n': 5}, single=single)
                    outcome = self.check_error('def f(x):\n    return 1 / x\n\nf(0)',
                                               'ZeroDivisionError', single=single)
                    self.assertEqual(outcome.error['line'], 2)
                    self.assertIn('    return 1 / x\n', outcome.error['traceback'])
                    self.assertEqual(outcome.stderr, outcome.error['traceback'])
                    self.assertNotIn('psb', outcome.stderr)
                    deny = {'imports': {'mode': 'deny', 'names': ['socket']}}
                    self.check_error('import importlib\nimportlib.import_module("socket")',
                                     'ImportError', options=deny, single=single)
        type(self).python = '/usr/bin/python3'


if __name__ == '__main__':
    unittest.main()
