#!/usr/bin/env python3
"""What health checks cost, and how evenly they are spread.

    bench/balancing/health_cost.py --rproxy PROGRAM [--backends 2000] [--interval 5] [--seconds 30]
                                   [--settle 5] [--check tcp|http]

One process listens on as many loopback ports as there are backends and notes when each is checked;
rproxy runs without traffic. After `settle` seconds it prints the CPU time of the threads of rproxy
as shares of one core (from 0.01 %), and how many checks came in each 100 ms and in each slice of the interval.
"""

import argparse
import collections
import os
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BUCKET = 0.1


def listen(count):
    """A selector on so many listening sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * count + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(3 * count + 200, hard), hard))
    selector = selectors.DefaultSelector()
    ports = []
    for _ in range(count):
        server = socket.create_server(("127.0.0.1", 0))
        server.setblocking(False)
        ports.append(server.getsockname()[1])
        selector.register(server, selectors.EVENT_READ, "listener")
    return selector, ports


def serve(selector, seconds):
    """Answers for so long; the times at which checks came, by backend."""
    times = collections.defaultdict(list)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if key.data == "listener":
                connection, _ = key.fileobj.accept()
                times[key.fd].append(time.monotonic())
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ, "connection")
                continue
            try:
                received = key.fileobj.recv(4096)
                if received:
                    key.fileobj.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                received = b""
            if not received:
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return times


def cpu_seconds(pid):
    """CPU time of each thread so far, by its id and name."""
    used = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as file:
            name = file.read().strip()
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as file:
            used[int(task), name] = int(file.read().split()[0]) / 1e9
    return used


def report(arguments, before, after, times, began):
    print(f"{arguments.backends} backends, {arguments.check} check each {arguments.interval:g} s, "
          f"{arguments.seconds:g} s:")
    for thread, seconds in sorted(after.items(), key=lambda item: before.get(item[0], 0) - item[1]):
        share = (seconds - before.get(thread, 0)) / arguments.seconds
        if share >= 0.0001:
            print(f"  thread {thread[1]:<16} {share * 100:6.2f} % of a core")
    every = sorted(time - began for checks in times.values() for time in checks)
    print(f"  checks: {len(every)}, {len(every) / arguments.seconds:.0f} a second; "
          f"backends checked: {len(times)} of {arguments.backends}")
    buckets = collections.Counter(int(time / BUCKET) for time in every)
    counts = sorted(buckets[i] for i in range(int(arguments.seconds / BUCKET)))
    middle = len(every) * BUCKET / arguments.seconds
    print(f"  in each 100 ms: mean {middle:.1f}, least {counts[0]}, most {counts[-1]} "
          f"({counts[-1] / middle:.2f} of the mean)")
    slices = collections.Counter(int(time % arguments.interval / arguments.interval * 10) for time in every)
    mean = len(every) / 10
    print("  in each tenth of the interval, of the mean: " + " ".join(f"{slices[i] / mean:.2f}" for i in range(10)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rproxy", required=True)
    parser.add_argument("--backends", type=int, default=2000)
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--settle", type=float, default=5)
    parser.add_argument("--check", choices=["tcp", "http"], default="tcp")
    arguments = parser.parse_args()
    selector, ports = listen(arguments.backends)
    path = "path: /healthz, " if arguments.check == "http" else ""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as config:
        rows = "\n".join(f"      - 127.0.0.1:{port}" for port in ports)
        config.write(f"listeners: [{{address: '127.0.0.1:0'}}]\npools:\n  web:\n    backends:\n{rows}\n"
                     f"    health_check: {{{path}interval: {round(arguments.interval * 1000)}ms}}\n")
        config.flush()
        with socket.create_server(("127.0.0.1", 0)) as free:
            admin = free.getsockname()[1]
        proxy = subprocess.Popen([arguments.rproxy, "serve", "--config", config.name, "--workers", "1",
                                  "--admin", f"127.0.0.1:{admin}", "--log-level", "warn"])
        try:
            serve(selector, arguments.settle)
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
                answer.read()  # raises unless every backend was checked
            before, began = cpu_seconds(proxy.pid), time.monotonic()
            times = serve(selector, arguments.seconds)
            report(arguments, before, cpu_seconds(proxy.pid), times, began)
        finally:
            proxy.terminate()
            proxy.wait()


if __name__ == "__main__":
    sys.exit(main())
