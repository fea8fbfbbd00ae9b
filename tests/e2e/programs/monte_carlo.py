# Pi from a seeded generator.
import random
random.seed(7)
inside = sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(20000))
result = 4 * inside / 20000
