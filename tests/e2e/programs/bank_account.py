# A class with a property and an exception of its own.
class Overdrawn(Exception):
    pass
class Account:
    def __init__(self):
        self._cents = 0
    @property
    def balance(self):
        return self._cents / 100
    def move(self, amount):
        cents = round(amount * 100)
        if self._cents + cents < 0:
            raise Overdrawn(f"{-amount:.2f} from {self.balance:.2f}")
        self._cents += cents
account = Account()
account.move(10.5)
try:
    account.move(-20)
except Overdrawn as problem:
    print("refused:", problem)
result = account.balance
