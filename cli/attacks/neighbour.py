"""Not an attack: another execution that holds a secret while it is attacked, and says when it was
signalled."""
import signal
import time

secret = W["plant"]
with open("secret", "w") as file:
    file.write(secret)


def tell(number, frame):
    print("@signalled", number, flush=True)


for number in (signal.SIGURG, signal.SIGTERM, signal.SIGWINCH):
    try:
        signal.signal(number, tell)
    except (OSError, ValueError):
        pass  # an engine without signals
print("@ready", flush=True)
while True:
    time.sleep(0.02)
