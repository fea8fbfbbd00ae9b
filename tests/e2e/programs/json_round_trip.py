# Nested data, sorted keys, escapes.
import json
data = {"b": [1, 2.5, None, True], "a": {"text": "line\n\"quoted\" \u20ac", "empty": {}}}
text = json.dumps(data, sort_keys=True, indent=1)
print(text)
result = json.loads(text) == data
