# A seeded generator gives the same numbers everywhere.
import random
rng = random.Random(42)
deck = list(range(10))
rng.shuffle(deck)
result = [rng.random(), rng.randint(1, 100), deck, rng.sample(range(100), 3), rng.choice("abc"), rng.gauss(0, 1)]
