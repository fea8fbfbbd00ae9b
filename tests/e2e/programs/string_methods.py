# Many small ones.
text = "  Hello, World  "
result = [text.strip().partition(", "), "a-b-c".rsplit("-", 1), "abc".zfill(6), "x".join("123"), "Été".encode().hex(),
          "tab\tstop".expandtabs(4), "abcabc".rfind("b"), "%s|%5.1f|%-4d|" % ("s", 2.25, 7), "ab".translate({97: "z"})]
