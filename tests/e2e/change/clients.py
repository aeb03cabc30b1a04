"""Clients of every kind, each counting what it asked and what went wrong."""

import asyncio
import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass, field

from backend import pattern

PATIENCE = 30  # seconds without a byte, then a request has failed
UPLOAD = 256 * 1024
DOWNLOAD = 3 << 20
BULK = 2 << 20


@dataclass
class Tally:
    """What one kind of client saw."""

    requests: int = 0
    failures: Counter = field(default_factory=Counter)  # by what happened
    closed: int = 0  # connections that the proxy closed and the client did not want closed

    def fail(self, what):
        self.failures[what] += 1


class Unanswered(Exception):
    """No answer, or not all of it."""


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    def gone(self):
        return self.reader.at_eof() or self.reader.exception() is not None

    def close(self):
        self.writer.close()

    async def send(self, data, piece=None, pause=0.0):
        for at in range(0, len(data), piece or len(data) or 1):
            self.writer.write(data[at:at + (piece or len(data))])
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)

    async def head(self):
        try:
            text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        except asyncio.IncompleteReadError as error:
            raise Unanswered("no answer" if not error.partial else "half a head") from error
        lines = text.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), fields

    async def body(self, fields, piece=1 << 20, pause=0.0):
        left = int(fields.get("content-length", 0))
        body = bytearray()
        while left > 0:
            data = await asyncio.wait_for(self.reader.read(min(left, piece)), PATIENCE)
            if not data:
                raise Unanswered("half a body")
            body += data
            left -= len(data)
            if pause:
                await asyncio.sleep(pause)
        return bytes(body)


def request(method, path, fields="", length=None):
    size = f"Content-Length: {length}\r\n" if length is not None else ""
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}{size}\r\n".encode()


class Clients:
    """All of them, against one port, until stop()."""

    def __init__(self, port):
        self.port = port
        self.tallies = {}
        self.stopping = False
        self.tasks = []

    def start(self, without=()):
        numbers = itertools.count()
        for count, kind, run in ((4, "keep-alive GET", self.keep_alive), (2, "new connection GET", self.new_connections),
                                 (2, "POST upload", self.uploads), (2, "long download", self.downloads),
                                 (2, "slow reader", self.slow_reader), (2, "WebSocket", self.websocket)):
            if kind in without:
                continue
            tally = self.tallies[kind] = Tally()
            self.tasks += [asyncio.create_task(run(tally, next(numbers))) for _ in range(count)]

    async def stop(self):
        self.stopping = True
        await asyncio.gather(*self.tasks)

    async def repeat(self, tally, ask, pause, again=True):
        """ask(connection) over and over on one connection for as long as the proxy lets it."""
        connection = None
        while not self.stopping:
            try:
                if connection is None or connection.gone():
                    if connection is not None:
                        tally.closed += 1
                        connection.close()
                    connection = await Connection.open(self.port)
                tally.requests += 1
                fields = await ask(connection)
                if not again or fields.get("connection") == "close":
                    tally.closed += again
                    connection.close()
                    connection = None
            except (Unanswered, OSError, asyncio.TimeoutError) as error:
                tally.fail(str(error) or type(error).__name__)
                if connection is not None:
                    tally.closed += 1
                    connection.close()
                connection = None
            await asyncio.sleep(pause)
        if connection is not None:
            connection.close()

    async def keep_alive(self, tally, number):
        async def ask(connection):
            await connection.send(request("GET", f"/client/{number}"))
            return await self.checked(connection)
        await self.repeat(tally, ask, 0.01)

    async def new_connections(self, tally, number):
        async def ask(connection):
            await connection.send(request("GET", f"/new/{number}"))
            return await self.checked(connection)
        await self.repeat(tally, ask, 0.01, again=False)

    async def uploads(self, tally, number):
        body = bytes((i * (number + 7)) % 251 for i in range(UPLOAD))
        digest = hashlib.sha256(body).hexdigest().encode()

        async def ask(connection):
            await connection.send(request("POST", "/steady/upload", length=len(body)))
            await connection.send(body, 16 * 1024, 0.005)
            return await self.checked(connection, digest)
        await self.repeat(tally, ask, 0.01)

    async def downloads(self, tally, _number):
        whole = pattern(DOWNLOAD)

        async def ask(connection):
            await connection.send(request("GET", "/steady/download", f"X-Size: {DOWNLOAD}\r\n"))
            return await self.checked(connection, whole)
        await self.repeat(tally, ask, 0.01)

    async def slow_reader(self, tally, _number):
        whole = pattern(BULK)

        async def ask(connection):
            await connection.send(request("GET", "/steady/bulk", f"X-Size: {BULK}\r\n"))
            status, fields = await connection.head()
            body = await connection.body(fields, 32 * 1024, 0.02)
            if status != 200 or body != whole:
                raise Unanswered(f"status {status} {fields.get('x-rproxy-reason', '')}".strip()
                                 if status != 200 else "wrong body")
            return fields
        await self.repeat(tally, ask, 0.01)

    @staticmethod
    async def checked(connection, expected=None):
        status, fields = await connection.head()
        body = await connection.body(fields)
        if status != 200:
            raise Unanswered(f"status {status} {fields.get('x-rproxy-reason', '')}".strip())
        if expected is not None and body != expected:
            raise Unanswered("wrong body")
        return fields

    async def websocket(self, tally, _number):
        while not self.stopping:
            connection = await Connection.open(self.port)
            try:
                tally.requests += 1
                await connection.send(request("GET", "/steady/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n"))
                status, _ = await connection.head()
                if status != 101:
                    raise Unanswered(f"status {status}")
                for i in itertools.count():
                    message = b"ping %d" % i
                    await connection.send(message)
                    try:
                        await asyncio.wait_for(connection.reader.readexactly(len(message)), PATIENCE)
                    except asyncio.IncompleteReadError as error:
                        raise Unanswered("tunnel cut") from error
                    if self.stopping:
                        break
                    await asyncio.sleep(0.02)
            except (Unanswered, OSError, asyncio.TimeoutError) as error:
                tally.fail(str(error) or type(error).__name__)
                tally.closed += 1
                await asyncio.sleep(0.05)
            finally:
                connection.close()
