"""The shared library exports exactly the functions that the public header declares, needs libc
only, and says so in its version node."""
import pathlib
import re
import subprocess
import sys

library, header = sys.argv[1:3]
declared = set(re.findall(r'^PSB_API [^;(]*?\**(psb_\w+)\(', pathlib.Path(header).read_text(), re.M))
symbols = subprocess.run(['nm', '-D', '--defined-only', library], capture_output=True, text=True,
                         check=True).stdout
exported = {line.split()[2] for line in symbols.splitlines() if ' T ' in line}
plain = {name.split('@')[0] for name in exported}
assert plain == declared, f'only in header: {declared - plain}, only exported: {plain - declared}'
assert all('@@PYSANDBOX_0.1' in name for name in exported), exported
needed = re.findall(r'NEEDED.*\[(.*)\]', subprocess.run(['readelf', '-d', library], text=True,
                                                        capture_output=True, check=True).stdout)
needed = [name for name in needed if 'san.so' not in name]
assert needed == ['libc.so.6'], needed
