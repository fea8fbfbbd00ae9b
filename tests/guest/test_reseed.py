"""Two instances of one template share no randomness, even of generators used before the fork."""
import unittest

from harness import END, RESULT, GuestCase, encode_request, parse

BEFORE = '''
import random, tempfile, uuid, ssl, os
random.random()
uuid.uuid1()
tempfile.NamedTemporaryFile().close()
ssl.RAND_bytes(8)
class Hooked:
    value = b"template"
    def renew(self):
        self.value = os.urandom(8)
random.hooked = Hooked()
os.register_at_fork(after_in_child=random.hooked.renew)
if "numpy" in __import__("sys").modules:
    import numpy
    numpy.random.rand()
'''

DRAWS = {
    'random': 'random.random()',
    'shuffled': 'random.sample(range(10**9), 3)',
    'uuid1 clock sequence': '[uuid.uuid1().clock_seq for _ in range(4)]',
    'uuid4': 'str(uuid.uuid4())',
    'tempfile': 'os.path.basename(tempfile.mktemp())',
    'openssl': 'ssl.RAND_bytes(8)',
    'urandom': 'os.urandom(8)',
    'secrets': '__import__("secrets").token_hex()',
    'hook of a preloaded module': 'random.hooked.value',
}
NUMPY = {
    'numpy': 'numpy.random.rand()',
    'numpy default_rng': 'numpy.random.default_rng().random()',
}


class Reseed(GuestCase):
    def draw(self, table, header, preload):
        source = f'{header}\nresult = [{", ".join(table.values())}]'
        path = self.base / 'request'
        path.write_bytes(encode_request(source))
        outcome = self.run_raw(b'', preload=preload, single='0', env={
            'PSB_TEST_FORKS': '3', 'PSB_TEST_BEFORE_FORK': BEFORE, 'PSB_TEST_REQUEST': str(path)})
        ends = [parse(payload) for kind, payload in outcome.frames if kind == END]
        self.assertEqual([end['status'] for end in ends], ['ok'] * 3, (ends, outcome.stderr))
        return [parse(payload) for kind, payload in outcome.frames if kind == RESULT]

    def check(self, table, header, preload):
        draws = self.draw(table, header, preload)
        self.assertEqual(len(draws), 3)
        for index, name in enumerate(table):
            with self.subTest(name=name):
                seen = {repr(draw[index]) for draw in draws}
                self.assertEqual(len(seen), 3, seen)

    def test_standard_library(self):
        self.check(DRAWS, 'import random, tempfile, uuid, ssl, os', 'random,uuid,tempfile,ssl')

    def test_numpy(self):
        self.check({**DRAWS, **NUMPY}, 'import random, tempfile, uuid, ssl, os, numpy', 'numpy,ssl')


if __name__ == '__main__':
    unittest.main()
