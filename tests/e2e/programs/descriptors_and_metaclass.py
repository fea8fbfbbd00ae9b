# Checked fields and a registry.
class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name
    def __get__(self, thing, owner=None):
        return getattr(thing, self.name)
    def __set__(self, thing, value):
        if value <= 0:
            raise ValueError(self.name[1:] + " must be positive")
        setattr(thing, self.name, value)
class Registry(type):
    names = []
    def __new__(mcls, name, bases, space):
        mcls.names.append(name)
        return super().__new__(mcls, name, bases, space)
class Box(metaclass=Registry):
    width = Positive()
box = Box()
box.width = 3
try:
    box.width = -1
except ValueError as problem:
    print(problem)
result = [box.width, Registry.names]
