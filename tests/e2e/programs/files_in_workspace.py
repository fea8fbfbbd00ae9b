# Written, listed, read, removed.
import os
from pathlib import Path
base = Path("psb-program-data")
base.mkdir()
for name in "bca":
    (base / f"{name}.txt").write_text(f"{name}\nsecond\n", encoding="utf-8")
names = sorted(path.name for path in base.glob("*.txt"))
lines = sum(len(path.read_text().splitlines()) for path in base.iterdir())
for path in base.iterdir():
    path.unlink()
base.rmdir()
result = [names, lines, os.path.exists(base)]
