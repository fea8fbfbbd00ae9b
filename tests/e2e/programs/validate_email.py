# A plain check of addresses.
import re
def valid(text):
    return bool(re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text))
result = {text: valid(text) for text in ("a@b.co", "a.b+c@d-e.org", "a@b", "@x.y", "a b@c.de")}
