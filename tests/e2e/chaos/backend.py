#!/usr/bin/env python3
"""A backend that misbehaves on request: python3 backend.py ADDRESS PORT NAME

Answers every path with its name. Takes one order a line on standard input and answers `ok`:
`delay SECONDS` and `status CODE` (both for everything but /healthz), `health CODE`, `deaf` (stops
listening, keeps its connections) and `hear`.
"""

import asyncio
import sys


class Backend:
    def __init__(self, address, port, name):
        self.address, self.port, self.name = address, port, name
        self.delay = 0.0
        self.status = self.health = 200
        self.server = None

    async def hear(self):
        self.server = await asyncio.start_server(self.serve, self.address, self.port, backlog=512)

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                await reader.readexactly(int(fields.get("content-length", "0")))
                probe = head[0].split()[1] == "/healthz"
                if not probe and self.delay:
                    await asyncio.sleep(self.delay)
                status = self.health if probe else self.status
                body = self.name.encode()
                writer.write(b"HTTP/1.1 %d Status\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
                await writer.drain()
                if fields.get("connection") == "close":
                    return
        except (asyncio.IncompleteReadError, OSError):
            pass  # the other side has left
        finally:
            writer.close()

    async def obey(self, order):
        what, _, value = order.partition(" ")
        if what == "delay":
            self.delay = float(value)
        elif what == "status":
            self.status = int(value)
        elif what == "health":
            self.health = int(value)
        elif what == "deaf":
            self.server.close()
        elif what == "hear":
            await self.hear()
        else:
            raise ValueError(order)


async def main():
    backend = Backend(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    await backend.hear()
    print("ok", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        await backend.obey(line.decode().strip())
        print("ok", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
