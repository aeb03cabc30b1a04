#!/usr/bin/env python3
"""Changes a proxy's configuration over and over under every kind of traffic, and counts the damage.

Good, identical, changed and broken files follow each other while backends are killed and started
again. Of rproxy it asks that nobody notices: no failed request, no closed connection, no descriptor
left over, no memory that grows. Other proxies are counted the same way, without a verdict.

    change.py --proxy rproxy|nginx|haproxy --program PATH [--swaps 1000] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, HERE)
from clients import Clients  # noqa: E402
from proxies import Haproxy, Nginx, Rproxy, Version  # noqa: E402
from support import check, free_port, wait_for  # noqa: E402

PROXIES = {"rproxy": Rproxy, "nginx": Nginx, "haproxy": Haproxy}
EVERY = 0.1         # seconds from one file to the next
RESTARTED = 3       # backends that are killed in turn; a fourth comes and goes with the file
MEMORY_NOISE = 8 << 20


class Backend:
    def __init__(self, name):
        self.name, self.port, self.process = name, free_port(), None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "backend.py"), str(self.port), self.name])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Restarts:
    """Kills one backend after the other, the next when the last is up again."""

    def __init__(self, backends):
        self.backends, self.count, self.stopping = backends, 0, False

    async def run(self):
        while not self.stopping:
            backend = self.backends[self.count % len(self.backends)]
            backend.kill()
            await asyncio.sleep(0.3)
            backend.start()
            while not backend.listens():
                await asyncio.sleep(0.05)
            self.count += 1
            await asyncio.sleep(1.2)  # health checks see it back


def versions(port, web, steady, more_port, rng):
    """Endless (kind, version): changed, identical, changed, broken."""
    current = Version(port, [b.port for b in web], [b.port for b in steady])
    while True:
        for kind in ("changed", "identical", "changed", "broken"):
            if kind == "changed":
                fourth = [web[-1].port] if rng.random() < 0.5 else []
                current = Version(port, [b.port for b in web[:-1]] + fourth, [b.port for b in steady],
                                  rng.random() < 0.5, more_port if rng.random() < 0.2 else 0, rng.randint(20, 40))
            yield kind, (current if kind != "broken" else Version(**{**vars(current), "broken": True}))


class Run:
    def __init__(self, arguments, root):
        self.arguments = arguments
        self.web = [Backend(f"web-{i}") for i in range(RESTARTED + 1)]
        self.steady = [Backend(f"steady-{i}") for i in range(2)]
        self.port = free_port()
        self.proxy = PROXIES[arguments.proxy](root, arguments.program)
        self.swaps = {}
        self.resident = []
        self.clients = None

    def start(self):
        for backend in self.web + self.steady:
            wait_for(f"{backend.name} listens", backend.listens)
        first = Version(self.port, [b.port for b in self.web], [b.port for b in self.steady])
        self.proxy.start(first)
        time.sleep(1)  # nginx and haproxy do not say when they serve

    async def change_all(self):
        files = versions(self.port, self.web, self.steady, free_port(), random.Random(1))
        restarts = Restarts(self.web[:RESTARTED])
        restarting = asyncio.create_task(restarts.run())
        for number in range(self.arguments.swaps):
            kind, version = next(files)
            self.swaps[kind] = self.swaps.get(kind, 0) + 1
            self.proxy.change(version, identical=kind == "identical")
            await asyncio.sleep(EVERY)
            if number % max(1, self.arguments.swaps // 20) == 0:
                self.resident.append(self.proxy.resident())
        restarts.stopping = True
        await restarting
        return restarts.count

    async def go(self):
        before = self.proxy.descriptors()
        clients = self.clients = Clients(self.port)
        clients.start()
        await asyncio.sleep(1)
        restarts = await self.change_all()
        await asyncio.sleep(1)
        processes = len(self.proxy.processes())
        self.resident.append(self.proxy.resident())
        await clients.stop()
        await asyncio.sleep(4)  # idle connections to backends end after two seconds
        return {
            "proxy": self.arguments.proxy, "swaps": self.swaps, "backend_restarts": restarts,
            "requests": {kind: tally.requests for kind, tally in clients.tallies.items()},
            "failed": {kind: sum(tally.failures.values()) for kind, tally in clients.tallies.items()},
            "why": {kind: dict(tally.failures) for kind, tally in clients.tallies.items() if tally.failures},
            "closed": {kind: tally.closed for kind, tally in clients.tallies.items()},
            "descriptors": [before, self.proxy.descriptors()], "processes": processes,
            "resident_mib": [round(size / (1 << 20), 1) for size in self.resident],
        }

    def stop(self):
        if self.proxy.process:
            self.proxy.stop()
        for backend in self.web + self.steady:
            if backend.process.poll() is None:
                backend.kill()


def report_clients(tallies):
    print(f"  {'clients':20} {'requests':>9} {'failed':>7} {'closed':>7}")
    for kind, tally in tallies.items():
        why = ", ".join(f"{count} {what}" for what, count in tally.failures.items())
        print(f"  {kind:20} {tally.requests:9} {sum(tally.failures.values()):7} {tally.closed:7}  {why}")


def report(result, tallies):
    print(f"{result['proxy']}: {sum(result['swaps'].values())} files ({result['swaps']}), "
          f"{result['backend_restarts']} backends killed and started")
    report_clients(tallies)
    print(f"  descriptors before and after: {result['descriptors']}; processes at the end: {result['processes']}; "
          f"resident MiB: {result['resident_mib']}", flush=True)


def judge(run, result):
    """Of rproxy only: nobody noticed, and nothing is left."""
    check("every client asked", all(result["requests"].values()))
    check("no request failed", not any(result["failed"].values()), str(result["why"] or ""))
    check("no client connection was closed", not any(result["closed"].values()))
    before, after = result["descriptors"]
    check("no descriptor is left over", after <= before, f"{before} before, {after} after")
    sizes = result["resident_mib"]
    middle = sizes[len(sizes) // 3]
    check("memory does not grow", (sizes[-1] - middle) * (1 << 20) < MEMORY_NOISE, f"{middle} -> {sizes[-1]} MiB")
    check("one process serves", result["processes"] == 1)
    wait_for("old snapshots are gone", lambda: run.proxy.metric("rproxy_config_snapshots_live") == 1)
    rejected = run.proxy.metric('rproxy_config_reloads_total{result="rejected"}')
    applied = run.proxy.metric('rproxy_config_reloads_total{result="applied"}')
    check("it saw the files", applied > result["swaps"]["changed"] // 2 and rejected > 0,
          f"{applied:.0f} applied, {rejected:.0f} rejected")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proxy", choices=PROXIES, default="rproxy")
    parser.add_argument("--program", required=True)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as root:
        run = Run(arguments, root)
        try:
            run.start()
            result = asyncio.run(run.go())
            report(result, run.clients.tallies)
            if arguments.json:
                with open(arguments.json, "w", encoding="utf-8") as file:
                    json.dump(result, file, indent=1)
            if arguments.proxy == "rproxy":
                judge(run, result)
        finally:
            run.stop()


if __name__ == "__main__":
    main()
