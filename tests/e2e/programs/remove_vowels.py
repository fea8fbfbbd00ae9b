# Over lines too.
import re
result = re.sub("[aeiou]", "", "abcdef\nghijklm AEIOU zoo", flags=re.I)
