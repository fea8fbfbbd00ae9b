"""Stages the guest's parts: stage.py STAMP FOLDER FILES... copies them, compiles the Python ones
ahead and notes the digest of all; stage.py --compile FOLDER does the last two for an installed folder.

The .pyc files are unchecked: the cage has read-only files whose times say nothing.
"""
import hashlib
import os
import pathlib
import py_compile
import shutil
import sys


def compile_all(folder):
    for path in sorted(folder.glob('*.py')):
        py_compile.compile(str(path), dfile=path.name, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def write_digest(folder):
    """What an image's key says of the parts, while none is newer (image/key.c)."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob('*.py'), *folder.glob('*.so')]):
        digest.update(f'{path.name} {path.stat().st_size}\n'.encode() + path.read_bytes())
    fresh = folder / 'parts.new'
    fresh.write_text(digest.hexdigest() + '\n')
    fresh.replace(folder / 'parts.sha256')


def finish(folder):
    compile_all(folder)
    write_digest(folder)


def stage(stamp, folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        target = folder / pathlib.Path(file).name
        fresh = target.with_suffix('.new')
        shutil.copyfile(file, fresh)
        fresh.chmod(0o755 if target.suffix == '.so' else 0o644)
        fresh.replace(target)
    finish(folder)
    pathlib.Path(stamp).write_text('staged\n')


def main(arguments):
    if arguments[0] == '--compile':
        root = os.environ.get('MESON_INSTALL_DESTDIR_PREFIX', '/')
        finish(pathlib.Path(root) / arguments[1])
    else:
        stage(arguments[0], pathlib.Path(arguments[1]), arguments[2:])


main(sys.argv[1:])
