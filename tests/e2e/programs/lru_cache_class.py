# A cache that forgets the oldest use.
from collections import OrderedDict
class Cache:
    def __init__(self, size):
        self.size, self.items = size, OrderedDict()
    def get(self, key):
        if key in self.items:
            self.items.move_to_end(key)
        return self.items.get(key, -1)
    def put(self, key, value):
        self.items[key] = value
        self.items.move_to_end(key)
        if len(self.items) > self.size:
            self.items.popitem(last=False)
cache = Cache(2)
log = []
for action in ((1, 1), (2, 2), 1, (3, 3), 2, (4, 4), 1, 3, 4):
    log.append(cache.put(*action) if isinstance(action, tuple) else cache.get(action))
result = log
