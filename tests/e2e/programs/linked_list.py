# Turned round, with a class.
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
    def __iter__(self):
        node = self
        while node:
            yield node.value
            node = node.next
def turned(node):
    back = None
    while node:
        node.next, back, node = back, node, node.next
    return back
result = list(turned(Node(1, Node(2, Node(3, Node(4))))))
