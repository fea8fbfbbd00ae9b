"""The request on one side, the frames on the other."""
import json
import unittest

from harness import END, RESULT, GuestCase, encode_request


class Request(GuestCase):
    def test_torn_requests_end_quietly(self):
        whole = encode_request('result = 1', {'a': 1}, {}, [('f', b'data')])
        for cut in list(range(0, 70)) + [len(whole) - 1, len(whole) - 5]:
            if cut % 7 and cut > 8:
                continue
            with self.subTest(cut=cut):
                outcome = self.run_raw(whole[:cut])
                self.assertEqual((outcome.frames, outcome.code), ([], 0))

    def test_lengths_that_lie(self):
        whole = bytearray(encode_request('result = 1', {'a': 1}, {}, [('f', b'data')]))
        for at in (0, 4, 24, 28, 32, 36, 40):
            with self.subTest(at=at):
                bad = bytearray(whole)
                bad[at:at + 4] = b'\xff\xff\xff\xff' if at != 40 else b'\x01\0\0\0'
                outcome = self.run_raw(bytes(bad))
                self.assertEqual((outcome.frames, outcome.code), ([], 0))

    def test_bad_inputs(self):
        for text in (b'{', b'{"a":}', b'{"a":1,}', b'[1', b'{"a":01}', b'{"a":1}x', b'{"a":tru}',
                     b'{"a":"\\x"}', b'{"a":"\\ud8"}', b'{"a":"\xff"}', b'{1:2}', b'{"a" 1}',
                     b'{"a":-}', b'{"a":1e}', b'{"a":1.}', b'{"a":"\n"}', b'{"a":"x\\', b'"',
                     b'[' * 201 + b']' * 201, b'{"a":{"$type":"nope"}}', b'{"a":{"$type":[]}}',
                     b'{"a":{"$type":"date","value":"x"}}', b'{"a":{"$type":"int"}}'):
            with self.subTest(text=text[:30]):
                outcome = self.run_code('result = 1', inputs=text)
                self.assertEqual((outcome.status, outcome.ends), ('error', 1))
                self.assertEqual(outcome.error['type'], 'InputError', outcome.error)

    def test_inputs_as_json_reads_them(self):
        text = (rb' { "a" : [ 1 , -2 , 0 , 1.5 , -1e3 , 2E-2 , true , false , null ] , "b":{},'
                rb'"c":[],"d":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t","e":"' + '\u20ac\U0001f600'.encode()
                + rb'","f":123456789012345678901234567890,"g":-999999999999999999,"h":{"i":[{}]}}')
        self.check_ok('import json\nresult = inputs == json.loads(text["v"])\n'
                      .replace('text["v"]', repr(text.decode())), True, inputs=text)
        self.check_ok('result = len(a["d"]) == 1 and ord(a["d"])', 0xd800,
                      inputs=b'{"a":{"d":"\\ud800"}}')
        self.check_ok('d = 0\nwhile a:\n    a = a[0]\n    d += 1\nresult = d', 198,
                      inputs=b'{"a":' + b'[' * 199 + b']' * 199 + b'}')

    def test_large_both_ways(self):
        value = [{'name': f'item {n}', 'value': n * 1.5, 'tags': ['a', 'b\n', '\xe9']}
                 for n in range(20_000)]
        self.check_ok('result = a', value, inputs={'a': value}, cap=1 << 24)


class Frames(GuestCase):
    def test_pieces(self):
        outcome = self.check_ok('result = "x" * 300_000', 'x' * 300_000)
        sizes = [len(payload) for kind, payload in outcome.frames if kind == RESULT]
        self.assertTrue(len(sizes) > 3 and max(sizes) <= 65536)
        self.assertEqual(outcome.frames[-1][0], END)

    def test_cap_stops_the_stream(self):
        for source in ('result = "x" * 10_000_000',
                       'a = []\nfor _ in range(100):\n    a = [a, a]\nresult = a',
                       'a = {}\nfor _ in range(60):\n    a = {"x": a, "y": a}\nresult = a',
                       'result = [0] * 50_000_000', 'result = b"x" * 200_000',
                       'import numpy\nresult = numpy.broadcast_to(0, (10**12,))'):
            with self.subTest(source=source):
                outcome = self.run_code(source, cap=100_000)
                self.assertGreater(len(outcome.result_bytes), 100_000)
                self.assertLess(len(outcome.result_bytes), 100_000 + 2 * 65536)

    def test_stray_bytes_are_no_frames(self):
        outcome = self.check_ok('import os\nos.write(250, b"noise")\nresult = 1', 1)
        self.assertEqual(outcome.stray, b'noise')

    def test_end_is_valid_json_whatever_the_texts(self):
        outcome = self.check_error(
            'class E(Exception): pass\n'
            'raise E("\\ud800 \\x00 \\x1b \\u2028 \\udcff" + "\\x01" * 100_000)', 'E')
        self.assertLessEqual(len(outcome.error['message'].encode()), 8192)
        self.assertIn('\\ud800', outcome.error['message'])
        self.assertLess(len(json.dumps(outcome.end)), 1 << 20)


if __name__ == '__main__':
    unittest.main()
