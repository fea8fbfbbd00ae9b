"""Values both ways (docs/values.md)."""
import unittest

from harness import GuestCase


def typed(name, value):
    return {'$type': name, 'value': value}


# Python expression -> what the host gets.
PLAIN = {
    'None': None, 'True': True, 'False': False, '0': 0, '-1': -1, '2**63-1': 2**63 - 1,
    '-2**63': -2**63, '1.0': 1.0, '-0.0': -0.0, '1e300': 1e300, '5e-324': 5e-324, '0.1': 0.1,
    '1e16': 1e16, '"x"': 'x', '"\\x00\\x1f\\"\\\\/\\u2028\\U0001f600"': '\0\x1f"\\/\u2028\U0001f600',
    '[]': [], '{}': {}, '()': [], '(1, (2,), [])': [1, [2], []], '{"": 1}': {'': 1},
    '{"a": {"b": [{}]}}': {'a': {'b': [{}]}},
    '__import__("collections").OrderedDict([("b", 1), ("a", 2)])': {'b': 1, 'a': 2},
    '__import__("collections").Counter("aab")': {'a': 2, 'b': 1},
    '__import__("collections").defaultdict(list, x=[1])': {'x': [1]},
    '__import__("collections").namedtuple("P", "x y")(1, 2)': [1, 2],
    '__import__("enum").IntEnum("E", "A B").B': 2,
    '__import__("http").HTTPStatus.OK': 200,
}

RICH = {
    '2**63': typed('int', str(2**63)), '-2**63-1': typed('int', str(-2**63 - 1)),
    '10**5000': typed('int', '1' + '0' * 5000),
    'float("nan")': typed('float', 'nan'), 'float("inf")': typed('float', 'inf'),
    '-float("inf")': typed('float', '-inf'),
    'b"\\x00\\xff"': {'$type': 'bytes', 'base64': 'AP8='}, 'b""': {'$type': 'bytes', 'base64': ''},
    'bytearray(b"ab")': {'$type': 'bytes', 'base64': 'YWI='},
    'memoryview(b"ab")': {'$type': 'bytes', 'base64': 'YWI='},
    'datetime.date(2024, 2, 29)': typed('date', '2024-02-29'),
    'datetime.datetime(2024, 1, 2, 3, 4, 5, 6)': typed('datetime', '2024-01-02T03:04:05.000006'),
    'datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)':
        typed('datetime', '2024-01-02T00:00:00+00:00'),
    'datetime.time(1, 2)': typed('time', '01:02:00'),
    'datetime.timedelta(days=1, seconds=2, microseconds=3)': typed('timedelta', '86402.000003'),
    'datetime.timedelta(microseconds=-1)': typed('timedelta', '-0.000001'),
    'datetime.timedelta(hours=-1)': typed('timedelta', '-3600'),
    'decimal.Decimal("1.10")': typed('decimal', '1.10'),
    'decimal.Decimal("NaN")': typed('decimal', 'NaN'),
    'uuid.UUID(int=1)': typed('uuid', '00000000-0000-0000-0000-000000000001'),
    '{"$type": "date", "value": 1}': typed('dict', [['$type', 'date'], ['value', 1]]),
    '{"a": {"$type": {"$type": None}}}':
        {'a': typed('dict', [['$type', typed('dict', [['$type', None]])]])},
}

NUMPY = {
    'np.int64(5)': 5, 'np.uint8(255)': 255, 'np.bool_(True)': True, 'np.float32(0.5)': 0.5,
    'np.float64(1.5)': 1.5, 'np.str_("x")': 'x', 'np.float64("nan")': typed('float', 'nan'),
    'np.uint64(2**64 - 1)': typed('int', str(2**64 - 1)), 'np.longdouble(2)': 2.0,
    'np.bytes_(b"ab")': {'$type': 'bytes', 'base64': 'YWI='},
    'np.arange(6).reshape(2, 3)':
        {'$type': 'ndarray', 'dtype': 'int64', 'shape': [2, 3], 'data': [[0, 1, 2], [3, 4, 5]]},
    'np.array([1.5, np.inf])':
        {'$type': 'ndarray', 'dtype': 'float64', 'shape': [2], 'data': [1.5, typed('float', 'inf')]},
    'np.array(3)': {'$type': 'ndarray', 'dtype': 'int64', 'shape': [], 'data': 3},
    'np.zeros((0, 3))': {'$type': 'ndarray', 'dtype': 'float64', 'shape': [0, 3], 'data': []},
    'np.array(["a", None], dtype=object)':
        {'$type': 'ndarray', 'dtype': 'object', 'shape': [2], 'data': ['a', None]},
    'np.array(["2024-01-01"], dtype="M8[D]")':
        {'$type': 'ndarray', 'dtype': 'datetime64[D]', 'shape': [1], 'data': ['2024-01-01']},
    'np.datetime64("2024-01-01")': {'$type': 'datetime64', 'value': '2024-01-01', 'unit': 'D'},
    'np.timedelta64(5, "s")': {'$type': 'timedelta64', 'value': '5', 'unit': 's'},
    'np.ma.masked_array([1, 2], mask=[0, 0])':
        {'$type': 'ndarray', 'dtype': 'int64', 'shape': [2], 'data': [1, 2]},
}

PANDAS = {
    'pd.DataFrame({"a": [1, 2], "b": ["x", None]})':
        {'$type': 'dataframe', 'columns': ['a', 'b'], 'index': [0, 1],
         'dtypes': ['int64', 'object'], 'data': [[1, 2], ['x', None]]},
    'pd.DataFrame()': {'$type': 'dataframe', 'columns': [], 'index': [], 'dtypes': [], 'data': []},
    'pd.Series([1.5, None], name="s", index=["x", "y"])':
        {'$type': 'series', 'name': 's', 'dtype': 'float64', 'index': ['x', 'y'],
         'data': [1.5, typed('float', 'nan')]},
    'pd.Series(pd.to_datetime(["2024-01-01", None]))':
        {'$type': 'series', 'name': None, 'dtype': 'datetime64[ns]', 'index': [0, 1],
         'data': [typed('datetime', '2024-01-01T00:00:00'), None]},
    'pd.Index([1, 2])': [1, 2], 'pd.NaT': None, 'pd.NA': None,
    'pd.Timestamp("2024-01-01")': typed('datetime', '2024-01-01T00:00:00'),
    'pd.DataFrame({"a": [1, 1, 2]}).groupby("a").size()':
        {'$type': 'series', 'name': None, 'dtype': 'int64', 'index': [1, 2], 'data': [2, 1]},
}

IMPORTS = 'import datetime, decimal, uuid\n'

# source -> the message's beginning
REFUSED = {
    'result = {1}': "result: values of type 'set' cannot be returned",
    'result = {"a": [0, {"b": {1, 2}}]}': "result.a[1].b: values of type 'set'",
    'result = {1: 2}': 'result: a dict has a key that is not a str',
    'result = {"x": {(1,): 2}}': 'result.x: a dict has a key that is not a str',
    'result = {"a b": [object()]}': 'result["a b"][0]: values of type \'object\'',
    'result = lambda: 1': "result: values of type 'function'",
    'result = 1j': "result: values of type 'complex'",
    'result = ["\\ud800"]': 'result[0]: a string holds half of a surrogate pair',
    'result = {"\\udfff": 1}': 'result[',
    'result = []\nresult.append(result)': 'result[0]: the value contains itself',
    'result = {}\nresult["a"] = [result]': 'result.a[0]: the value contains itself',
    'from collections import OrderedDict\nresult = OrderedDict()\nresult["a"] = result':
        'result.a: the value contains itself',
    'result = []\nfor _ in range(500): result = [result]': 'result[0][0]',
    'result = []\nfor _ in range(100000): result = {"k": result}': 'result.k.k',
    'result = 1 << 10**7': 'result: an int of 10000001 bits is too long',
    'class C: pass\nresult = C()': "result: values of type 'C' cannot be returned",
    'import enum\nresult = enum.Enum("E", "A").A': "result: values of type 'E'",
    'import numpy\nresult = numpy.array([1j])': 'result: numpy arrays of dtype complex128',
    'import numpy\nresult = numpy.zeros(1, dtype=[("a", int)])': 'result: numpy arrays of dtype',
    'result = (x for x in ())': "result: values of type 'generator'",
    'class K(str):\n    def __hash__(s): return id(s)\n    def __eq__(s, o): return s is o\n'
    'result = {K("a"): 1, K("a"): 2}': 'result: a dict has two keys with the same text',
}

EVIL = (
    'class M(type):\n    def __instancecheck__(c, o): raise KeyError\n'
    '    __name__ = property(lambda c: 1/0)\n    def __getattribute__(c, n): raise SystemExit(3)\n'
    'class C(metaclass=M):\n    def __getattribute__(s, n): raise SystemExit(4)\n'
    '    def __repr__(s): raise SystemExit(5)\nresult = [C()]',
    'class C:\n    __class__ = int\n    def __int__(s): return 1\nresult = C()',
    'class C:\n    def __reduce__(s): raise SystemExit\n    def __index__(s): return 1\nresult = C()',
    'import datetime\nclass Z(datetime.tzinfo):\n    def utcoffset(s, d): raise SystemExit(3)\n'
    'result = datetime.datetime(2024, 1, 1, tzinfo=Z())',
)


class Results(GuestCase):
    def check_table(self, table, header='', preload=''):
        """All in one run, then the few that need telling apart."""
        names = ', '.join(table)
        outcome = self.check_ok(f'{header}result = [{names}]', preload=preload, cap=1 << 24)
        self.assertEqual(len(outcome.result), len(table))
        for (name, expected), got in zip(table.items(), outcome.result):
            with self.subTest(name=name):
                self.assertEqual(got, expected)
                self.assertIs(type(got), type(expected))

    def test_plain(self):
        self.check_table(PLAIN)

    def test_rich(self):
        self.check_table(RICH, IMPORTS)

    def test_numpy(self):
        self.check_table(NUMPY, 'import numpy as np\n')

    def test_pandas(self):
        self.check_table(PANDAS, 'import pandas as pd\n')

    def test_json_text(self):
        outcome = self.check_ok('result = [1, 1.0, 1e100, -0.0, "\\x7f\\xe9", {"a": ()}]')
        self.assertEqual(outcome.result_bytes.decode(),
                         '[1,1.0,1e+100,-0.0,"\x7f\xe9",{"a":[]}]')

    def test_refused(self):
        for source, message in REFUSED.items():
            with self.subTest(source=source):
                outcome = self.check_error(source, 'ResultError')
                self.assertTrue(outcome.error['message'].startswith(message), outcome.error)
                self.assertFalse(outcome.end['has_result'])

    def test_evil_values(self):
        for source in EVIL:
            with self.subTest(source=source):
                outcome = self.check_error(source, 'ResultError')
                self.assertTrue(outcome.error['message'].startswith('result'))

    def test_derived_classes_count_by_their_storage(self):
        self.check_ok(
            'class D(dict):\n    def items(s): raise SystemExit\n    def __iter__(s): return iter("z")\n'
            'class L(list):\n    def __iter__(s): raise SystemExit\n    def __len__(s): return 10**9\n'
            'class S(str):\n    def __str__(s): return "no"\n    def encode(s, *a): return b"no"\n'
            'class I(int):\n    def __int__(s): return 7\n    def __repr__(s): return "no"\n'
            'class F(float):\n    def __float__(s): return 7.0\n    def __repr__(s): return "no"\n'
            'result = [D(a=1), L([1]), S("x"), I(2), F(1.5), {S("k"): 1}]',
            [{'a': 1}, [1], 'x', 2, 1.5, {'k': 1}])

    def test_depth(self):
        nested = 'result = 0\nfor _ in range({}): result = [result]'
        self.check_ok(nested.format(199))
        self.check_error(nested.format(200), 'ResultError')
        typed_dicts = 'result = 0\nfor _ in range({}): result = {{"$type": result}}'
        self.check_ok(typed_dicts.format(66))
        self.check_error(typed_dicts.format(67), 'ResultError')

    def test_the_program_s_error_comes_first(self):
        outcome = self.check_error('result = {1}\n1/0', 'ZeroDivisionError')
        self.assertFalse(outcome.end['has_result'])


class Inputs(GuestCase):
    def test_round_trip(self):
        """What one run returned is, as the input of another, the same value again."""
        expressions = [name for name in RICH if 'memoryview' not in name]
        values = [RICH[name] for name in expressions]
        self.check_ok(
            IMPORTS + f'expected = [{", ".join(expressions)}]\n'
            'result = [i for i, (a, b) in enumerate(zip(v, expected))\n'
            '  if not (a == b or (a != a and b != b))]', [], inputs={'v': values})

    def test_numpy_round_trip(self):
        values = {name: value for name, value in NUMPY.items()
                  if isinstance(value, dict) and 'ma.' not in name}
        self.check_ok(
            f'import numpy as np\nexpected = [{", ".join(values)}]\n'
            'result = [i for i, (a, b) in enumerate(zip(v, expected)) if not (\n'
            '  np.array_equal(a, b) and np.asarray(a).dtype.kind == np.asarray(b).dtype.kind\n'
            '  or a != a)]', [], inputs={'v': list(values.values())})

    def test_pandas_round_trip(self):
        names = [name for name, value in PANDAS.items()
                 if isinstance(value, dict) and value['$type'] in ('dataframe', 'series')]
        self.check_ok(
            'import pandas as pd\n'
            f'expected = [{", ".join(names)}]\n'
            'result = [i for i, (a, b) in enumerate(zip(v, expected)) if not a.equals(b)]',
            [], inputs={'v': [PANDAS[name] for name in names]})

    def test_types(self):
        self.check_ok('result = [type(x).__name__ for x in v]',
                      ['int', 'float', 'bool', 'NoneType', 'str', 'list', 'dict', 'bytes', 'dict',
                       'datetime'],
                      inputs={'v': [1, 1.0, True, None, '', [], {}, {'$type': 'bytes', 'base64': ''},
                                    typed('dict', [['$type', 1]]),
                                    typed('datetime', '2024-01-01T00:00:00Z')]})


if __name__ == '__main__':
    unittest.main()
