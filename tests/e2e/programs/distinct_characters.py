# How many different letters, whatever their case.
def distinct(text):
    return len(set(text.lower()))
result = [distinct("xyzXYZ"), distinct("Jerry"), distinct("")]
