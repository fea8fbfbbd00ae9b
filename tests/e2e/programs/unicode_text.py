# Normal forms, names, combining marks.
import unicodedata
word = "cafe\u0301"
nfc = unicodedata.normalize("NFC", word)
result = [len(word), len(nfc), unicodedata.name("\u20ac"), "ǅ".lower(), "straße".upper(), sorted("zäaÄ"), "\U0001f600".encode().hex()]
