# Paragraphs, dedent, fill.
import textwrap
text = "The quick brown fox jumps over the lazy dog and then sleeps in the warm sun for hours."
print(textwrap.fill(text, 30, initial_indent="* ", subsequent_indent="  "))
print(textwrap.dedent("    a\n      b\n    c"))
result = textwrap.shorten(text, 40)
