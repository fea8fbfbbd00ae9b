# Gathered, with a queue and a timeout.
import asyncio
async def worker(queue, out):
    while (item := await queue.get()) is not None:
        await asyncio.sleep(0)
        out.append(item * item)
async def main():
    queue, out = asyncio.Queue(), []
    for item in (1, 2, 3, None, None):
        queue.put_nowait(item)
    await asyncio.gather(worker(queue, out), worker(queue, out))
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except asyncio.TimeoutError:
        out.append("timeout")
    return out
result = asyncio.run(main())
