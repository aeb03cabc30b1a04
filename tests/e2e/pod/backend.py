"""A backend: answers every request with its name. `/slow/N` takes N seconds, half of its body
first. Arguments: NAME ADDRESS PORT."""

import asyncio
import sys

NAME, ADDRESS, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


async def read_request(reader):
    """(path, body length) or None at the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    if length:
        await reader.readexactly(length)
    return lines[0].split()[1]


async def serve(reader, writer):
    try:
        while True:
            path = await read_request(reader)
            body = f"{NAME}\n".encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
                         % len(body))
            if path.startswith("/slow/"):
                writer.write(body[:1])
                await writer.drain()
                await asyncio.sleep(float(path.removeprefix("/slow/")))
                writer.write(body[1:])
            else:
                writer.write(body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(serve, ADDRESS, PORT, backlog=512)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
