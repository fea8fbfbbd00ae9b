"""Eight threads of pure Python work: switching between them is what is measured."""
import threading
import time


def work(answers, index):
    value = index
    for step in range(400_000):
        value = (value * 31 + step) % 1_000_003
    answers[index] = value


begin = time.perf_counter()
answers = [0] * 8
threads = [threading.Thread(target=work, args=(answers, index)) for index in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
result = [time.perf_counter() - begin, answers]
