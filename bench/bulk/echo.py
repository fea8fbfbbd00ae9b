"""An asyncio echo server and its client over a socketpair: many small waits for descriptors."""
import asyncio
import socket
import time


async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main():
    one, other = socket.socketpair()
    server = asyncio.create_task(serve(*await asyncio.open_connection(sock=one)))
    reader, writer = await asyncio.open_connection(sock=other)
    total = 0
    for step in range(5000):
        writer.write(b"x" * (step % 1000 + 1))
        await writer.drain()
        total += len(await reader.readexactly(step % 1000 + 1))
    writer.close()
    await server
    return total


begin = time.perf_counter()
total = asyncio.run(main())
result = [time.perf_counter() - begin, total]
