# Named groups of one regular expression.
import re
PATTERN = re.compile(r"(?P<number>\d+(\.\d*)?)|(?P<name>[A-Za-z_]\w*)|(?P<op>[-+*/=()])|(?P<skip>\s+)")
def tokens(text):
    return [(m.lastgroup, m.group()) for m in PATTERN.finditer(text) if m.lastgroup != "skip"]
result = tokens("area = 3.14 * (r_1 + 2)")
