"""Count generated words: strings, dictionaries, sorting by a key."""
import time


def text(count):
    state = 12345
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2 ** 31
        yield "w" + str(state % 5000)


def work():
    counts = {}
    for word in text(500_000):
        counts[word] = counts.get(word, 0) + 1
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    return [list(item) for item in top]


started = time.perf_counter()
value = work()
result = [time.perf_counter() - started, value]
