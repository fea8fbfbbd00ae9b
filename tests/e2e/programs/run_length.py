# There and back.
from itertools import groupby
import re
def pack(text):
    return "".join(f"{len(list(group))}{char}" for char, group in groupby(text))
def unpack(text):
    return "".join(char * int(count) for count, char in re.findall(r"(\d+)(\D)", text))
packed = pack("WWWWWWBWWWWBB")
result = [packed, unpack(packed)]
