# Only the words that hold a given piece.
words = ["abc", "bacd", "cde", "array", "Alphabet"]
result = {piece: [word for word in words if piece in word] for piece in ("a", "cd", "zz")}
