"""How programs run and end."""
import unittest

from harness import GuestCase


class Run(GuestCase):
    def test_plain_value(self):
        for single in ('1', '0'):
            outcome = self.check_ok('result = {"n": a + 1}\nprint("hi")', {'n': 42},
                                    inputs={'a': 41}, single=single)
            self.assertEqual(outcome.stdout, 'hi\n')
            self.assertEqual(outcome.stray, b'')


if __name__ == '__main__':
    unittest.main()
