#!/usr/bin/env python3
"""A rolling restart: two instances that share one port, the old one drained while every kind of client asks.

    rolling.py --program PATH [--rounds 3]

Each round starts a new instance beside the running one (SO_REUSEPORT), waits until it is ready, and
ends the old one with SIGTERM. No request may fail. Connections may be closed, but only with a word:
the old instance says `Connection: close`, or closes what is idle after its listeners are gone.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, HERE)
from change import Backend, report_clients  # noqa: E402
from clients import Clients  # noqa: E402
from proxies import Rproxy, Version  # noqa: E402
from support import check, free_port, wait_for  # noqa: E402

WITHIN = 20  # seconds for a drain; the longest request takes two
TUNNEL = "WebSocket"


async def ended(process):
    for _ in range(WITHIN * 20):
        if process.poll() is not None:
            return process.returncode
        await asyncio.sleep(0.05)
    return None


async def roll(arguments, root, version):
    def instance(number):
        folder = os.path.join(root, str(number))
        os.mkdir(folder)
        return Rproxy(folder, arguments.program)

    running = instance(0)
    running.start(version)
    clients = Clients(version.port)
    clients.start(without=(TUNNEL,))  # a tunnel lasts until the deadline, which is a test of its own
    try:
        await asyncio.sleep(1)
        for number in range(1, arguments.rounds + 1):
            following = instance(number)
            await asyncio.to_thread(following.start, version)
            running.process.send_signal(signal.SIGTERM)
            status = await ended(running.process)
            check(f"round {number}: the old instance drained and ended", status == 0, f"status {status}")
            running = following
            await asyncio.sleep(1)
        await clients.stop()
    finally:
        if running.process.poll() is None:
            running.stop()
    return clients


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    backends = [Backend(f"backend-{i}") for i in range(2)]
    try:
        for backend in backends:
            wait_for(f"{backend.name} listens", backend.listens)
        ports = [backend.port for backend in backends]
        with tempfile.TemporaryDirectory() as root:
            clients = asyncio.run(roll(arguments, root, Version(free_port(), ports, ports)))
        report_clients(clients.tallies)
        check("every client asked", all(tally.requests for tally in clients.tallies.values()))
        failed = {kind: dict(tally.failures) for kind, tally in clients.tallies.items() if tally.failures}
        check("no request failed", not failed, str(failed or ""))
    finally:
        for backend in backends:
            if backend.process.poll() is None:
                backend.kill()


if __name__ == "__main__":
    main()
