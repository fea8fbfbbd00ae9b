# Groups, lookarounds, substitution by function, splitting.
import re
log = """2024-01-05 ERROR disk full
2024-01-06 INFO ok
2024-02-07 ERROR net down"""
errors = re.findall(r"^(\d{4}-\d\d)-\d\d ERROR (.*)$", log, re.M)
swapped = re.sub(r"(\w+)@(\w+)\.com", lambda m: f"{m[2]}/{m[1].upper()}", "joe@site.com, amy@mail.com")
result = [errors, swapped, re.split(r"[;,]\s*", "a;b, c,d"), re.findall(r"(?<=\$)\d+(?!\.)\b", "$5 $7.5 $12")]
