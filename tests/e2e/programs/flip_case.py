# Upper to lower and back.
text = "Hello, Ärger und Ñandú! ß"
result = [text.swapcase(), text.casefold(), text.title()]
