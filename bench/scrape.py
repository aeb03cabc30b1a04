#!/usr/bin/env python3
"""How long a scrape takes, and whether the traffic notices.

    bench/scrape.py --rproxy PROGRAM [--backends 1000] [--seconds 10] [--rate 1000] [--scrapes 30]

One process is all backends, on as many addresses of 127.0.0.0/8; one client sends requests at a
fixed rate over 16 connections. Prints the latency without scrapes, with a scrape each 300 ms (plain
and as gzip: fifty times as often as Prometheus asks), and how long the scrapes took, also in CPU time,
which a busy machine does not blur (health checks included).
"""

import argparse
import http.client
import multiprocessing
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
CONNECTIONS = 16
PAUSE = 0.3


def serve(server):
    """Answers whatever comes, for ever."""
    selector = selectors.DefaultSelector()
    server.setblocking(False)
    selector.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is server:
                connection, _ = server.accept()
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
                continue
            try:
                received = key.fileobj.recv(16384)
                if received:
                    key.fileobj.send(ANSWER * received.count(b"\r\n\r\n"))
            except OSError:
                received = b""
            if not received:
                selector.unregister(key.fileobj)
                key.fileobj.close()


def load(port, rate, seconds):
    """Latencies in ms at this rate; a request's time runs from when it was due."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    latencies = []
    began = time.perf_counter()
    for i in range(int(rate * seconds)):
        due = began + i / rate
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        sent = time.perf_counter()
        connection = connections[i % CONNECTIONS]
        connection.sendall(REQUEST)
        if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit("a request failed")
        latencies.append((time.perf_counter() - sent) * 1000)
    return latencies


def scrape(admin, encoding):
    """Milliseconds, and the bytes of the body."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1000
    if answer.status != 200 or (answer.getheader("Content-Encoding") or "identity") != encoding:
        sys.exit(f"a scrape failed: {answer.status}")
    return took, len(body)


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report_latency(name, latencies):
    print(f"  {name:<22} p50 {quantile(latencies, .5):6.3f} ms   p99 {quantile(latencies, .99):6.3f} ms   "
          f"p99.9 {quantile(latencies, .999):6.3f} ms")


def cpu_ms(pid):
    """CPU time of all threads so far."""
    used = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as file:
            used += int(file.read().split()[0]) / 1e6
    return used


def report_scrapes(name, scrapes, cpu):
    times = [took for took, _ in scrapes]
    print(f"  {name:<22} median {quantile(times, .5):6.1f} ms   max {max(times):6.1f} ms   "
          f"CPU {cpu / len(scrapes):5.1f} ms   {scrapes[-1][1] / 1e6:.2f} MB, {len(scrapes)} times")


def measure(arguments, port, admin, pid):
    load(port, arguments.rate, 1)  # every connection is open
    report_latency("no scrapes", load(port, arguments.rate, arguments.seconds))
    for encoding, name in (("identity", "plain"), ("gzip", "gzip")):
        scrapes, stop = [], threading.Event()

        def scraper(encoding=encoding, scrapes=scrapes, stop=stop):
            while not stop.wait(PAUSE):
                scrapes.append(scrape(admin, encoding))

        thread = threading.Thread(target=scraper)
        thread.start()
        latencies = multiprocessing.Pool(1).apply(load, (port, arguments.rate, arguments.seconds))
        stop.set()
        thread.join()
        report_latency(f"scraped, {name}", latencies)
    for encoding, name in (("identity", "scrape, plain"), ("gzip", "scrape, gzip")):
        before = cpu_ms(pid)
        scrapes = [scrape(admin, encoding) for _ in range(arguments.scrapes)]
        report_scrapes(name, scrapes, cpu_ms(pid) - before)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rproxy", required=True)
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--scrapes", type=int, default=30)
    arguments = parser.parse_args()
    server = socket.create_server(("0.0.0.0", 0), backlog=4096)
    backends = multiprocessing.Process(target=serve, args=(server,), daemon=True)
    backends.start()
    port, admin = free_port(), free_port()
    rows = "\n".join(f"      - 127.1.{i // 250}.{i % 250 + 1}:{server.getsockname()[1]}"
                     for i in range(arguments.backends))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as config:
        config.write(f"listeners: [{{address: '127.0.0.1:{port}'}}]\npools:\n  web:\n    backends:\n{rows}\n"
                     "log: {access: false}\n")
        config.flush()
        proxy = subprocess.Popen([arguments.rproxy, "serve", "--config", config.name, "--workers", "1",
                                  "--admin", f"127.0.0.1:{admin}", "--log-level", "error"])
        try:
            time.sleep(3)
            print(f"{arguments.backends} backends, {arguments.rate:g} requests/s, {arguments.seconds:g} s each:")
            measure(arguments, port, admin, proxy.pid)
        finally:
            proxy.terminate()
            proxy.wait()
            backends.terminate()


if __name__ == "__main__":
    main()
