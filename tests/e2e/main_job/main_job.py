#!/usr/bin/env python3
"""The main job as a user sees it: real processes, a ConfigMap swapped as kubelet does, steady load.

Kills one of three backends with SIGKILL, adds and removes backends, breaks the file, and ends with
SIGTERM. No request may fail and no client connection may be closed until the very end.
"""

import argparse
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import ConfigMap, Proxy, check, free_port, wait_for  # noqa: E402

CLIENTS = 8


class Backend:
    def __init__(self, program, name, port=None):
        self.program, self.name, self.port = program, name, port or free_port()
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, str(self.port), self.name])

        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(f"{self.name} listens", listening)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Load:
    """Keep-alive clients that send requests back to back and note every failure."""

    def __init__(self, port):
        self.port = port
        self.requests = 0
        self.failures = []
        self.reconnects = 0
        self.served = {}
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, index):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        connection.connect()
        first = connection.sock
        body = b"x" * 2000
        while not self.stopping:
            try:
                if index == 0:
                    connection.request("GET", "/with-query?client=0", headers={"X-Extra": "1" * 100})
                elif index == 1:
                    connection.request("PUT", "/upload", body=body)  # may be repeated, body and all
                else:
                    connection.request("GET", f"/client/{index}")
                answer = connection.getresponse()
                text = answer.read().decode()
                with self.lock:
                    self.requests += 1
                    if answer.status != 200:
                        self.failures.append(f"{answer.status} {answer.getheader('X-Rproxy-Reason')}")
                    else:
                        name = text.split()[0]
                        self.served[name] = self.served.get(name, 0) + 1
                if connection.sock is not first:
                    with self.lock:
                        self.reconnects += 1
                    first = connection.sock
            except (OSError, http.client.HTTPException) as error:
                with self.lock:
                    self.failures.append(repr(error))
                connection.close()
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)

    def more(self, count=300):
        goal = self.requests + count
        wait_for("load goes on", lambda: self.requests >= goal, 30)

    def take_served(self):
        with self.lock:
            served, self.served = self.served, {}
        return served

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def config(port, backends, method="round_robin"):
    rows = "\n".join(f"      - {{name: {b.name}, address: '127.0.0.1:{b.port}'}}" for b in backends)
    return f"""
listeners: [{{address: '127.0.0.1:{port}'}}]
pools:
  web:
    method: {method}
    backends:
{rows}
    health_check: {{path: /healthz, interval: 500ms, timeout: 400ms}}
drain: {{accept_grace: 500ms, timeout: 10s}}
log: {{access: false}}
"""


def run(arguments, root):
    port, admin_port = free_port(), free_port()
    alpha, beta, gamma = (Backend(arguments.backend, name) for name in ("alpha", "beta", "gamma"))
    backends = [alpha, beta, gamma]
    config_map = ConfigMap(root)
    config_map.put(config(port, backends))
    proxy = Proxy(arguments.rproxy, config_map.path, admin_port)
    load = None
    try:
        load = Load(port)
        load.more()
        check("three backends serve", set(load.take_served()) == {"alpha", "beta", "gamma"})
        check("never crashed is absent, not 0",
              proxy.metric("rproxy_backend_last_crash_timestamp_seconds", backend="beta") is None)

        killed_at = time.time()
        beta.kill()
        load.more(1000)
        wait_for("beta is down", lambda: proxy.metric("rproxy_backend_up", backend="beta") == 0)
        crash = proxy.metric("rproxy_backend_last_crash_timestamp_seconds", backend="beta")
        check("kill -9 under load: no failed request", not load.failures, str(load.failures[:3]))
        check("its crash time is in /metrics", crash is not None and killed_at - 1 <= crash <= time.time(),
              f"{crash - killed_at:+.3f} s after the kill")
        check("it counts one crash",
              sum(proxy.metric("rproxy_backend_crashes_total", backend="beta", reason=reason)
                  for reason in ("refused", "reset", "timeout", "http_status", "health_check")) == 1)
        check("its uptime is 0", proxy.metric("rproxy_backend_uptime_seconds", backend="beta") == 0)

        beta.start()
        wait_for("beta is back", lambda: proxy.metric("rproxy_backend_up", backend="beta") == 1)
        load.take_served()
        load.more(300)
        check("it serves again by itself", "beta" in load.take_served())

        delta = Backend(arguments.backend, "delta")
        backends.append(delta)
        config_map.put(config(port, [alpha, beta, delta]))
        wait_for("generation 2", lambda: proxy.metric("rproxy_config_generation") == 2)
        load.more(500)
        load.take_served()
        load.more(500)
        served = load.take_served()
        check("a ..data swap adds delta and removes gamma", set(served) == {"alpha", "beta", "delta"}, str(served))
        check("no failed request", not load.failures, str(load.failures[:3]))
        check("no client connection closed", load.reconnects == 0)
        check("what stays keeps its counters",
              proxy.metric("rproxy_backend_requests_total", backend="alpha", code="2xx") > 500)

        broken = config(port, [alpha, beta]).replace("method: round_robin", "metod: round_robin")
        config_map.put(broken)
        wait_for("the broken file is seen",
                 lambda: proxy.metric("rproxy_config_reloads_total", result="rejected") == 1)
        said = [line for line in proxy.log if "configuration error" in line]
        check("a broken file says where it is wrong", bool(said) and "rproxy.yaml:5:5: pools.web.metod" in said[0],
              said[0].strip() if said else "nothing in the log")
        check("and changes nothing", proxy.metric("rproxy_config_generation") == 2)
        load.more(300)
        config_map.put(config(port, [alpha, beta, gamma, delta], "least_connections"))
        wait_for("generation 3", lambda: proxy.metric("rproxy_config_generation") == 3)
        load.more(500)
        wait_for("old snapshots are gone", lambda: proxy.metric("rproxy_config_snapshots_live") == 1)
        check("after a repaired file: no failed request", not load.failures, str(load.failures[:3]))
        check("no client connection closed", load.reconnects == 0)

        load.stop()
        print(f"      {load.requests} requests, {len(load.failures)} failed, {load.reconnects} connections closed")
        check("SIGTERM ends it with status 0", proxy.stop() == 0)
    finally:
        if load:
            load.stop()
        for process in [proxy.process] + [b.process for b in backends]:
            if process.poll() is None:
                process.kill()
                process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rproxy", required=True)
    parser.add_argument("--backend", required=True)
    with tempfile.TemporaryDirectory() as root:
        run(parser.parse_args(), root)


if __name__ == "__main__":
    sys.exit(main())
