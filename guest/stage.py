"""Stages the guest's parts: stage.py STAMP FOLDER FILES... copies them and compiles the Python ones
ahead; stage.py --compile FOLDER does the latter for an installed folder.

The .pyc files are unchecked: the cage has read-only files whose times say nothing.
"""
import os
import pathlib
import py_compile
import shutil
import sys


def compile_all(folder):
    for path in sorted(folder.glob('*.py')):
        py_compile.compile(str(path), dfile=path.name, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def stage(stamp, folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / pathlib.Path(file).name
        fresh = target.with_suffix('.new')
        shutil.copyfile(file, fresh)
        fresh.chmod(0o755 if target.suffix == '.so' else 0o644)
        fresh.replace(target)
    compile_all(folder)
    pathlib.Path(stamp).write_text('staged\n')


def main(arguments):
    if arguments[0] == '--compile':
        root = os.environ.get('MESON_INSTALL_DESTDIR_PREFIX', '/')
        compile_all(pathlib.Path(root) / arguments[1])
    else:
        stage(arguments[0], pathlib.Path(arguments[1]), arguments[2:])


main(sys.argv[1:])
