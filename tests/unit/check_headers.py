"""The public header as C99 and C++11, each inner header of core and ipc alone, all pedantic."""
import pathlib
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
compilers = sys.argv[2].split(), sys.argv[3].split()
flags = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', f'-I{root}/include']
source = root / 'tests/unit/header_alone.c'
jobs = [(compilers[0], ['-std=c99', '-x', 'c'], source),
        (compilers[0], ['-std=c17', '-x', 'c'], source),
        (compilers[1], ['-std=c++11', '-x', 'c++'], source),
        (compilers[1], ['-std=c++20', '-x', 'c++'], source)]
failed = 0
for compiler, options, path in jobs:
    failed += subprocess.run([*compiler, *flags, *options, str(path)]).returncode != 0
inner = sorted([*root.glob('src/core/*.h'), *root.glob('src/ipc/*.h'),
                *root.glob('src/audit/*.h'), *root.glob('src/metrics/*.h'), root / 'src/engines/engine.h'])
for header in inner:
    run = subprocess.run([*compilers[0], '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror',
                          '-fsyntax-only', f'-I{root}/include', f'-I{root}/src', '-x', 'c', '-'],
                         input=f'#include "{header}"\nint translation_unit;\n', text=True)
    failed += run.returncode != 0
assert len(inner) > 20, 'the headers were not found'
sys.exit(1 if failed else 0)
