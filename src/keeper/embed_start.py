"""embed_start.py IN OUT: a Python text as a C string, without its comments."""
import json
import pathlib
import sys


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    lines = [line for line in source.read_text(encoding='ascii').splitlines()
             if line and not line.startswith('#')]
    body = '\n'.join(f'\t{json.dumps(line + chr(10))}' for line in lines)
    target.write_text(f'static const char runner_start[] =\n{body};\n', encoding='ascii')


main()
