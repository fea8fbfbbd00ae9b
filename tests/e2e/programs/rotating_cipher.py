# Groups of three, turned by one and back.
def encode(text):
    parts = [text[at:at + 3] for at in range(0, len(text), 3)]
    return "".join(part[1:] + part[0] if len(part) == 3 else part for part in parts)
def decode(text):
    return encode(encode(text))
secret = encode("the quick brown fox")
result = [secret, decode(secret)]
