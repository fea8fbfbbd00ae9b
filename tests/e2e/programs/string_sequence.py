# Numbers with spaces between, printed and returned.
text = " ".join(map(str, range(16)))
print(text)
result = text.split() == [str(n) for n in range(16)]
