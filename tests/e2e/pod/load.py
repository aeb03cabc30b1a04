"""Clients of the Service that count every request which did not succeed, and forgive none."""

import collections
import http.client
import random
import threading
import time


class Load:
    """`clients` threads with keep-alive connections. A connection stays with its pod until the
    proxy says `Connection: close`; with the probability `leaves` a client leaves by itself after a
    request and chooses again."""

    def __init__(self, cluster, port, clients=6, pause=0.004, leaves=0.02):
        self._cluster, self._port, self._pause, self._leaves = cluster, port, pause, leaves
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answers = collections.Counter()
        self.failures = []
        self._since_mark = collections.Counter()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(number),), daemon=True)
                         for number in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def mark(self):
        """Forgets who answered so far, for `since_mark`."""
        with self._lock:
            self._since_mark = collections.Counter()

    def since_mark(self):
        with self._lock:
            return dict(self._since_mark)

    @property
    def total(self):
        return sum(self.answers.values())

    def _run(self, rng):
        connection, pod = None, None
        while not self._stop.is_set():
            endpoints = self._cluster.endpoints
            if connection is None:
                if not endpoints:
                    time.sleep(self._pause)
                    continue
                pod = rng.choice(endpoints)
                connection = http.client.HTTPConnection(pod, self._port, timeout=20)
            closing = self._request(connection, pod, rng)
            if closing or rng.random() < self._leaves:
                connection.close()
                connection = None
            time.sleep(self._pause)
        if connection is not None:
            connection.close()

    def _request(self, connection, pod, rng):
        """One request; True when the connection must not be used again."""
        method, body = ("POST", b"x" * 2000) if rng.random() < 0.2 else ("GET", None)
        began = time.monotonic()
        try:
            connection.request(method, "/", body=body)
            response = connection.getresponse()
            text = response.read().decode().strip()
            if response.status != 200:
                raise http.client.HTTPException(
                    f"{response.status} {response.getheader('X-Rproxy-Reason')}")
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self.failures.append(f"{method} to {pod} after {time.monotonic() - began:.3f} s: "
                                     f"{type(error).__name__} {error}")
            return True
        with self._lock:
            self.answers[text] += 1
            self._since_mark[text] += 1
        return response.will_close
