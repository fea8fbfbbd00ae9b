# Insert, walk, height.
class Tree:
    def __init__(self):
        self.root = None
    def insert(self, value):
        def go(node):
            if node is None:
                return [value, None, None]
            side = 1 if value < node[0] else 2
            node[side] = go(node[side])
            return node
        self.root = go(self.root)
    def __iter__(self):
        def walk(node):
            if node:
                yield from walk(node[1])
                yield node[0]
                yield from walk(node[2])
        return walk(self.root)
tree = Tree()
for value in (50, 30, 70, 20, 40, 60, 80, 10):
    tree.insert(value)
result = list(tree)
