# Ignoring what is no letter.
def palindrome(text):
    letters = [char.lower() for char in text if char.isalpha()]
    return letters == letters[::-1]
result = [palindrome(text) for text in ("", "Never odd or even", "Go hang a salami", "No 'x' in Nixon")]
