"""Integrate a few bodies under gravity: floats, attributes, nested loops."""
import time


class Body:
    def __init__(self, x, y, vx, vy, mass):
        self.x, self.y, self.vx, self.vy, self.mass = x, y, vx, vy, mass


def step(bodies, dt):
    for i, a in enumerate(bodies):
        for b in bodies[i + 1:]:
            dx, dy = a.x - b.x, a.y - b.y
            pull = dt / (dx * dx + dy * dy + 0.01) ** 1.5
            a.vx -= dx * b.mass * pull
            a.vy -= dy * b.mass * pull
            b.vx += dx * a.mass * pull
            b.vy += dy * a.mass * pull
    for a in bodies:
        a.x += a.vx * dt
        a.y += a.vy * dt


def work(steps=100_000):
    bodies = [Body(0, 0, 0, 0, 10), Body(1, 0, 0, 3, 0.1), Body(0, 2, -2, 0, 0.2),
              Body(-3, 0, 0, -1.8, 0.1)]
    for _ in range(steps):
        step(bodies, 0.001)
    return round(sum(b.x + b.y for b in bodies), 6)


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
