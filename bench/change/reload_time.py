#!/usr/bin/env python3
"""How long a change takes, and what the clients notice of it.

    bench/change/reload_time.py --build BUILD [--backends 10,1000,10000] [--reloads 5] [--rate 2000]

For each number of backends: rproxy under an open load of `rate` requests a second, without and with
reloads that replace a tenth of the backends. Prints, per reload, the milliseconds from the swap of
`..data` until every worker runs the new file (rproxy says when in its log; 50 ms of it are the quiet
time that the watcher waits for), and the latency of the requests in both phases. One process is all
backends: 127.0.0.0/8 has addresses enough.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "e2e"))
from support import ConfigMap, free_port, wait_for  # noqa: E402

IN_FORCE = "every worker runs the configuration"


def address(number):
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


def config(port, backend_port, count, shift):
    """`count` backends, of which those below `shift` are replaced by others."""
    rows = "\n".join(f"  - {address(i + (count if i < shift else 0))}:{backend_port}" for i in range(count))
    return (f"listeners: [{{address: '127.0.0.1:{port}'}}]\nmethod: least_connections\nlog: {{access: false}}\n"
            f"backends:\n{rows}\n")


class Rproxy:
    def __init__(self, program, config_map, admin_port):
        self.lines = []
        self.process = subprocess.Popen(
            [program, "serve", "--config", config_map.path, "--admin", f"127.0.0.1:{admin_port}", "--workers", "2",
             "--log-level", "info"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            if IN_FORCE in line:
                self.lines.append(json.loads(line))

    def in_force(self, count):
        """When the count-th configuration was in force, as Unix time, and the milliseconds it says it took."""
        wait_for(f"configuration {count} is in force", lambda: len(self.lines) >= count, 120)
        line = self.lines[count - 1]
        at = datetime.datetime.fromisoformat(line["ts"].replace("Z", "+00:00")).timestamp()
        return at, line["ms"]


def load(build, port, rate, seconds):
    return subprocess.Popen(
        [f"{build}/bin/bench_client", "--port", str(port), "--connections", "32", "--rate", str(rate),
         "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True)


def latency(process):
    result = json.loads(process.communicate()[0])
    return {key: result[key] for key in ("requests", "ok", "p50_us", "p99_us", "p999_us", "max_us")}


def measure(arguments, count, root):
    port, backend_port = free_port(), free_port()
    backend = subprocess.Popen([f"{arguments.build}/bin/bench_backend", "--ports", str(backend_port), "--any-address"])
    config_map = ConfigMap(root)
    config_map.put(config(port, backend_port, count, 0))
    proxy = Rproxy(f"{arguments.build}/bin/rproxy", config_map, free_port())
    try:
        proxy.in_force(1)
        time.sleep(arguments.settle)
        quiet = latency(load(arguments.build, port, arguments.rate, arguments.seconds))
        client = load(arguments.build, port, arguments.rate, arguments.seconds)
        time.sleep(1.5)
        swapped, own = [], []
        for number in range(arguments.reloads):
            began = time.time()
            config_map.put(config(port, backend_port, count, max(1, count // 10) * (number % 2 == 0)))
            at, took = proxy.in_force(number + 2)
            swapped.append((at - began) * 1000)
            own.append(took)
            time.sleep(arguments.seconds / (arguments.reloads + 2))
        return {"backends": count, "swap_to_all_workers_ms": round(statistics.median(swapped)),
                "worst_ms": round(max(swapped)), "without_waiting_ms": statistics.median(own),
                "quiet": quiet, "reloading": latency(client)}
    finally:
        for process in (proxy.process, backend):
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--backends", default="10,1000,10000")
    parser.add_argument("--reloads", type=int, default=5)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--settle", type=float, default=3)
    arguments = parser.parse_args()
    for count in map(int, arguments.backends.split(",")):
        with tempfile.TemporaryDirectory() as root:
            print(json.dumps(measure(arguments, count, root)), flush=True)


if __name__ == "__main__":
    main()
