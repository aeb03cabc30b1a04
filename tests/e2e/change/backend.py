#!/usr/bin/env python3
"""A backend for every kind of traffic: small answers, uploads, paced downloads, tunnels.

Usage: backend.py PORT NAME
"""

import asyncio
import hashlib
import sys

PIECE = 64 * 1024
PAUSE = 0.02


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return lines[0].split(" "), {name.lower(): value for name, value in fields.items()}


async def read_body(reader, fields):
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", 0)))
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if size == 0:
            return body


def pattern(size):
    """Bytes in which nothing repeats soon, so that a piece lost or moved is seen."""
    return b"".join(b"%08x" % i for i in range(size // 8))


async def tunnel(reader, writer):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()


async def answer(words, fields, reader, writer, name):
    path = words[1]
    if path.endswith("/download"):
        body = pattern(int(fields.get("x-size", 1 << 20)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), PIECE):
            writer.write(body[at:at + PIECE])
            await writer.drain()
            await asyncio.sleep(PAUSE)
        return
    received = await read_body(reader, fields)
    if path.endswith("/bulk"):
        body = pattern(int(fields.get("x-size", 1 << 20)))
    elif words[0] == "POST":
        body = hashlib.sha256(received).hexdigest().encode()
    else:
        body = name.encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def serve(reader, writer, name):
    try:
        while True:
            words, fields = await read_head(reader)
            if fields.get("upgrade"):
                await tunnel(reader, writer)
                break
            await answer(words, fields, reader, writer, name)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port, name):
    server = await asyncio.start_server(lambda r, w: serve(r, w, name), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
