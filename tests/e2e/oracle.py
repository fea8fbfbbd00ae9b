"""Runs a program as plain Python does and leaves its `result` as JSON: the oracle of test_programs.

usage: oracle.py PROGRAM ANSWER.json
"""
import json
import sys
import types

path, answer = sys.argv[1:]
sys.argv = [path]
with open(path, "rb") as file:
    code = compile(file.read(), path.rpartition("/")[2], "exec", dont_inherit=True)
main = types.ModuleType("__main__")
main.__file__ = path
sys.modules["__main__"] = main
try:
    exec(code, main.__dict__)
finally:
    if "result" in main.__dict__:
        with open(answer, "w", encoding="utf-8") as file:
            json.dump(main.result, file)
