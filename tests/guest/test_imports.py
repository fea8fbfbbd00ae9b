"""Import lists are judged by who asks."""
import json
import unittest

from harness import GuestCase

DENY = {'imports': {'mode': 'deny', 'names': ['subprocess', 'ctypes', 'concurrent.futures.process'],
                    'policy': 'default'}}
ALLOW = {'imports': {'mode': 'allow', 'names': ['math', 'collections', 'os.path'],
                     'policy': 'strict'}}
MESSAGE = "import of 'subprocess' is refused by policy 'default' (deny list)"

REFUSED = (
    'import subprocess', 'from subprocess import run', 'import subprocess as s',
    '__import__("subprocess")', 'import importlib\nimportlib.import_module("subprocess")',
    'from importlib import import_module as i\ni("subprocess")',
    'exec("import subprocess")', 'exec("import subprocess", {})',
    'import asyncio\nimport subprocess', 'import builtins\nbuiltins.__import__("subprocess")',
    '__import__("subprocess", {"__spec__": 1, "__file__": "/usr/lib/x.py"})',
    'def f():\n    import subprocess\nf()', 'import helper',
)


class Imports(GuestCase):
    files = (('helper.py', b'import subprocess\n'),)

    def test_refused(self):
        for source in REFUSED:
            for single in ('1', '0'):
                with self.subTest(source=source, single=single):
                    outcome = self.check_error(source, 'ImportError', options=DENY, single=single,
                                               files=self.files)
                    self.assertEqual(outcome.error['message'], MESSAGE)
                    self.assertEqual(outcome.end['denied_imports'], ['subprocess'])
                    self.assertNotIn('psb_', outcome.error['traceback'])
                    self.assertNotIn('decide', outcome.error['traceback'])

    def test_refused_when_already_loaded(self):
        self.check_error('import subprocess', 'ImportError', options=DENY, preload='subprocess',
                         single='0')

    def test_submodules(self):
        for source, name in (('import ctypes.util', 'ctypes.util'),
                             ('from ctypes import util', 'ctypes'),
                             ('import concurrent.futures.process', 'concurrent.futures.process'),
                             ('from concurrent.futures import thread, process',
                              'concurrent.futures.process')):
            with self.subTest(source=source):
                outcome = self.check_error(source, 'ImportError', options=DENY)
                self.assertEqual(outcome.end['denied_imports'], [name])
        self.check_ok('import concurrent.futures.thread\nfrom concurrent.futures import thread\n'
                      'import concurrent', options=DENY)

    def test_what_allowed_modules_import_is_theirs(self):
        outcome = self.check_ok('import numpy, sys\nresult = "ctypes" in sys.modules', True,
                                options=DENY)
        self.assertEqual(outcome.end['denied_imports'], [])
        self.check_ok('import importlib, asyncio, uuid, platform\nresult = 1', 1, options=DENY)

    def test_error_has_a_name_and_can_be_caught(self):
        outcome = self.check_ok(
            'try:\n    import subprocess\nexcept ImportError as e:\n    result = [e.name, str(e)]',
            ['subprocess', MESSAGE], options=DENY)
        self.assertEqual(outcome.end['denied_imports'], ['subprocess'])

    def test_allow_list(self):
        self.check_ok('import math, collections.abc, os, helper\nimport os.path\nresult = 1', 1,
                      options=ALLOW, files=(('helper.py', b'import math\n'),))
        outcome = self.check_error('import json', 'ImportError', options=ALLOW)
        self.assertEqual(outcome.error['message'],
                         "import of 'json' is refused by policy 'strict' (not on the allow list)")
        self.check_error('import helper', 'ImportError', options=ALLOW,
                         files=(('helper.py', b'import json\n'),))

    def test_off(self):
        self.check_ok('import subprocess', options={'imports': {'mode': 'off', 'names': []}})
        self.check_ok('import subprocess')

    def test_ordinary_imports_still_behave(self):
        self.check_ok(
            'import pkg.mod\nfrom pkg import other\nfrom pkg.mod import value\n'
            'import os.path as p\nfrom importlib import import_module\n'
            'result = [pkg.mod.value, other.x, value, p.sep, import_module(".mod", "pkg").value,\n'
            '  __import__("os.path").__name__, __import__(name="math").__name__,\n'
            '  __import__("os.path", fromlist=["sep"]).__name__]',
            [1, 2, 1, '/', 1, 'os', 'math', 'posixpath'], options=DENY,
            files=(('pkg/__init__.py', b''), ('pkg/mod.py', b'from . import other\nvalue = 1'),
                   ('pkg/other.py', b'from .sub import x'), ('pkg/sub.py', b'x = 2')))
        self.check_error('__import__()', 'TypeError', options=DENY)
        self.check_error('__import__(5)', 'TypeError', options=DENY)
        self.check_error('import importlib\nimportlib.import_module(5)', 'AttributeError',
                         options=DENY)


def known(options):
    """A template's list, written as in a request."""
    return (json.dumps(options['imports'], separators=(',', ':')),)


class KnownList(Imports):
    """The same where a template knows a list before there is a request: the request's counts."""
    template = known(DENY)

    def run_raw(self, *args, **how):
        return super().run_raw(*args, **{**how, 'single': '0'})

    def test_off_is_as_if_there_had_been_none(self):
        for options in ({}, {'imports': {'mode': 'off', 'names': []}}):
            self.check_ok('import importlib, subprocess\n'
                          'result = [__import__.__self__.__name__, importlib.import_module.__module__,\n'
                          '          importlib.import_module("subprocess").__name__]',
                          ['builtins', 'importlib', 'subprocess'], options=options,
                          preload='importlib')

    def test_the_known_list_is_not_read_again(self):
        outcome = self.check_ok('import math\nresult = 1', 1, options=DENY)
        self.assertEqual(outcome.end['denied_imports'], [])
        elsewhere = {**DENY, 'filename': '"imports":{"mode":"deny","names":['}
        self.check_error('import subprocess', 'ImportError', options=elsewhere)


class KnownAllowList(KnownList):
    template = known(ALLOW)


class UnlikeList(KnownList):
    """A list that is written otherwise is never taken for known."""
    template = (json.dumps(DENY['imports']),)


class UnquotableList(KnownList):
    """A name that JSON writes with escapes makes another list."""
    template = known({'imports': {'mode': 'deny', 'names': ['subprocess'], 'policy': 'a "name"'}})


if __name__ == '__main__':
    unittest.main()
