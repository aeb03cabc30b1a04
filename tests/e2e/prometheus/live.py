#!/usr/bin/env python3
"""Runs every expression of the dashboards and alerts on a real Prometheus that scrapes real proxies.

    live.py RPROXY [--out DIR] [--only STORY]

Two replicas of RPROXY serve three backends; then things go wrong, one after the other (the
functions story_*): a backend dies and returns, flaps, all die; a file is broken, replicas differ, a
replica starts without a valid file; a certificate nears its end. Each time the alert must fire, and
clear when all is well again. Alerts are the shipped ones with their durations shortened.

Meanwhile each expression is evaluated in every situation: none may be an error, and each must have
returned a number in at least one of them. What each returned is in DIR/results.md.

A build that cannot speak TLS is found out by asking it; what needs TLS is then left out, and both
the output and results.md say so.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import math
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import references  # noqa: E402

JOB, NAMESPACE = "rproxy", "live"
# Durations of the rules and of the dashboards' ranges, shortened to what a test can wait for.
SHORTER = {"15m": "60s", "10m": "15s", "5m": "10s", "2m": "2s", "1m": "2s", "30s": "2s"}
# These can have no data here, and why.
NO_TLS = "left out: no TLS in this build"
TLS_METRICS = "rproxy_tls_"
EMPTY_WITHOUT_A_CONTAINER = {"rproxy_memory_budget_bytes": "no container limit, no budget"}
NOT_FIRED_HERE = {
    "RproxyRetryBudgetExhausted": "needs more than ten failing requests a second and worker, the "
                                  "budget's floor, which a busy machine does not get through",
    "RproxyNearMemoryBudget": "needs a container's limit; alerts_test.yaml covers it",
    "RproxyHealthCheckerLate": "needs a stuck checker; alerts_test.yaml covers it"}


class Failure(Exception):
    """What the test is about did not happen."""


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, seconds=30.0):
    """Waits for `condition` to be true and returns its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found := condition():
                return found
        time.sleep(0.1)
    raise Failure(f"not within {seconds:.0f} s: {what}")


class Program:
    """A child process; its output goes to a file. Ended by its own pid."""

    def __init__(self, name, command, folder):
        self.name, self.command = name, [str(part) for part in command]
        self.log = folder / f"{name}.log"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def must_run(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended with {self.process.returncode}:\n"
                          + self.log.read_text(errors="replace")[-2000:])


BACKEND = r'''
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = 200, b"hello\n"
        if self.path == "/missing": status = 404
        if self.path == "/broken": status = 500
        if self.path == "/moved": status = 302
        if self.path != "/healthz" and os.path.exists(sys.argv[2]): status = 503
        if self.path == "/slow": time.sleep(0.03)
        if self.path == "/shop": time.sleep(0.03)
        self.send_response(status)
        self.send_header("Content-Length", str(100 if self.path == "/cut" else len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/cut"
    do_POST = do_PUT = do_GET
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''

# While this file is there, backends answer 503 to all but health checks.
OVERLOADED = "overloaded"


class Backend(Program):
    def __init__(self, name, folder):
        self.port = free_port()
        super().__init__(name, [sys.executable, "-c", BACKEND, self.port, folder / OVERLOADED],
                         folder)

    def listens(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def kill(self):
        self.stop(signal.SIGKILL)


class Replica(Program):
    def __init__(self, name, program, folder):
        self.folder = folder / name
        (self.folder / "config").mkdir(parents=True)
        self.file = self.folder / "config" / "rproxy.yaml"
        self.admin = free_port()
        super().__init__(name, [program, "serve", "--config", self.file, "--admin",
                                f"127.0.0.1:{self.admin}", "--state-dir", self.folder / "state",
                                "--workers", "1"], folder)
        (self.folder / "state").mkdir()

    def write(self, text):
        """Replaces the file as an editor does: nobody sees half of it."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ready(self):
        return self.get("/readyz")[0] == 200


def speaks_tls(program, folder):
    """Whether this build can serve a listener with TLS, by its own word."""
    file = folder / "tls.yaml"
    file.write_text(https_listener(1, folder / "none.crt", folder / "none.key") +
                    "pools: {web: {backends: []}}\n", encoding="utf-8")
    checked = subprocess.run([program, "check", file], capture_output=True, text=True, check=False)
    said = checked.stdout + checked.stderr
    if checked.returncode not in (0, 1):
        raise Failure(f"rproxy check ended with {checked.returncode}: {said}")
    return not re.search(r"\.tls\b.*not supported by this version", said)


class Certificate:
    """A self-signed one in files that the replicas share."""

    def __init__(self, folder):
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"

    def issue(self, days):
        new = [path.with_suffix(path.suffix + ".new") for path in (self.cert, self.key)]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-days",
                        str(days), "-out", new[0], "-keyout", new[1]], check=True,
                       capture_output=True)
        new[1].rename(self.key)
        new[0].rename(self.cert)


def https_listener(port, cert, key):
    return f"""\
listeners:
  - name: https
    address: 127.0.0.1:{port}
    tls: {{certificates: [{{cert: {cert}, key: {key}}}]}}
"""


def configuration(stage, weight=1):
    """The same for all replicas, so that they agree: they share the ports (SO_REUSEPORT)."""
    web = "\n".join(f"      - {{address: 127.0.0.1:{backend.port}, name: {backend.name}, "
                    f"weight: {weight}}}" for backend in stage.backends)
    listeners = "listeners:\n"
    if stage.tls_port:
        listeners = https_listener(stage.tls_port, stage.certificate.cert, stage.certificate.key)
    return f"""\
{listeners}  - {{name: http, address: "127.0.0.1:{stage.port}"}}
pools:
  web:
    backends:
{web}
    health_check: {{path: /healthz, interval: 300ms, timeout: 200ms, rise: 2, fall: 2}}
    outlier: {{consecutive_failures: 0}}
    retry: {{limit: 1, budget: 1%}}
    slow_start: 1s
  shop:
    backends:
      - {{address: 127.0.0.1:{stage.backends[0].port}, name: {stage.backends[0].name}, max_connections: 1}}
    queue: {{limit: 10, timeout: 2s}}
routes:
  - {{path: /, pool: web}}
  - {{path: /shop, pool: shop}}
limits: {{connections: 40}}
drain: {{accept_grace: 0s, timeout: 2s}}
"""


class Prometheus(Program):
    def __init__(self, folder, replicas):
        self.port = free_port()
        self.rules = folder / "rules.yaml"
        self.rules.write_text(shortened_rules())
        targets = ", ".join(f'"127.0.0.1:{replica.admin}"' for replica in replicas)
        (folder / "prometheus.yaml").write_text(f"""\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{self.rules}]
scrape_configs:
  - job_name: {JOB}
    static_configs: [{{targets: [{targets}], labels: {{namespace: {NAMESPACE}}}}}]
""")
        super().__init__("prometheus", [
            "prometheus", f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn"], folder)

    def ask(self, path, **query):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query, doseq=True)}")
            response = connection.getresponse()
            if response.status == 503:
                raise http.client.HTTPException("Prometheus is not ready yet")
            answer = json.loads(response.read())
        if answer["status"] != "success":
            raise Failure(f"{query}: {answer['error']}")
        if answer.get("warnings"):
            raise Failure(f"{query}: {answer['warnings']}")
        return answer["data"]

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]
                if alert["state"] == "firing"}

    def evaluate(self, each):
        """How many series the expression has, those that are only NaN left out."""
        expr = as_grafana_would(each["expr"])
        now = time.time()
        if each["kind"] == "variable":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", expr).groups()
            return len(self.ask(f"label/{label}/values", **{"match[]": selector}))
        if each["kind"] in ("range", "annotation"):
            series = self.ask("query_range", query=expr, start=now - 20, end=now, step=1)["result"]
            return sum(any(is_number(value) for _, value in one["values"]) for one in series)
        series = self.ask("query", query=expr, time=now)["result"]
        return sum(is_number(one["value"][1]) for one in series)


def is_number(text):
    return not math.isnan(float(text))


def shortened(text):
    return re.sub(r"(\[|for: )(\d+[ms])\b",
                  lambda match: match.group(1) + SHORTER[match.group(2)], text)


def shortened_rules():
    return shortened((references.ALERTS / "rproxy.yaml").read_text(encoding="utf-8"))


def as_grafana_would(expr):
    expr = shortened(expr)
    for name, value in (("$namespace", NAMESPACE), ("$release", JOB), ("$pool", ".*"),
                        ("$backend", ".*"), ("$__rate_interval", "5s"), ("$__range", "60s")):
        expr = expr.replace(name, value)
    return expr


class Traffic:
    """Clients that never stop: keep-alive connections over plain HTTP and TLS, now and then a
    request that is refused, and a burst of connections over the listener's limit."""

    # Failures are few enough that no alert fires for them.
    PATHS = ["/", "/", "/slow", "/missing", "/", "/moved", "/cut", *["/"] * 40, "/broken"]

    def __init__(self, port, tls_port):
        """Without a `tls_port` there are no clients over TLS."""
        self.port, self.tls_port = port, tls_port
        self.stopping = threading.Event()
        work = [*[self.plain] * 12, *[self.shop] * 3, self.malformed, self.crowd]
        if tls_port:
            work += [self.tls] * 3
        self.threads = [threading.Thread(target=each, daemon=True) for each in work]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(10)

    def requests(self, connect, paths, pause):
        connection = connect()
        for method, path in zip(itertools.cycle(["GET", "GET", "POST", "PUT"]), paths):
            if self.stopping.wait(pause):
                break
            try:
                connection.request(method, path, body=b"x" if method != "GET" else None)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = connect()
        connection.close()

    def plain(self):
        self.requests(lambda: http.client.HTTPConnection("127.0.0.1", self.port, timeout=5),
                      itertools.cycle(self.PATHS), 0.02)

    def tls(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        while not self.stopping.is_set():
            # A new connection now and then, so that handshakes can be counted.
            self.requests(lambda: http.client.HTTPSConnection(
                "127.0.0.1", self.tls_port, timeout=5, context=context), ["/"] * 10, 0.1)

    def shop(self):
        self.requests(lambda: http.client.HTTPConnection("127.0.0.1", self.port, timeout=5),
                      itertools.repeat("/shop"), 0.01)

    def malformed(self):
        while not self.stopping.wait(0.3):
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                                       b"Transfer-Encoding: chunked\r\n\r\n")
                    connection.recv(1000)

    def crowd(self):
        while not self.stopping.wait(2):
            with contextlib.ExitStack() as held, contextlib.suppress(OSError):
                for _ in range(150):
                    held.enter_context(socket.create_connection(("127.0.0.1", self.port), 2))


class Stage:
    """The programs, and what was found in each situation."""

    def __init__(self, program, folder):
        self.folder = folder
        self.backends = [Backend(f"b{number}", folder) for number in (1, 2, 3)]
        self.certificate = Certificate(folder)
        self.port = free_port()
        self.tls_port = free_port() if speaks_tls(program, folder) else None
        self.replicas = [Replica(name, program, folder) for name in ("replica-a", "replica-b")]
        self.prometheus = Prometheus(folder, self.replicas)
        self.expressions = [each for each in references.expressions()
                            if self.tls_port or TLS_METRICS not in each["expr"]]
        self.left_out = [] if self.tls_port else [
            each for each in references.expressions() if TLS_METRICS in each["expr"]]
        self.results = {}
        self.fired = set()

    def programs(self):
        return [*self.backends, *self.replicas, self.prometheus]

    def start(self):
        if self.tls_port:
            self.certificate.issue(days=300)
        for replica in self.replicas:
            replica.write(configuration(self))
        for backend in self.backends:
            backend.start()
            until(f"{backend.name} listens", backend.listens)
        for program in (*self.replicas, self.prometheus):
            program.start()
        for replica in self.replicas:
            until(f"{replica.name} is ready", lambda one=replica: one.must_run() or one.ready())
        until("Prometheus sees both replicas", lambda: len(self.prometheus.ask(
            "query", query="rproxy_ready == 1")["result"]) == 2)

    def stop(self):
        for program in self.programs():
            program.stop()

    def note(self, situation):
        """Evaluates everything now."""
        for program in (*self.replicas, self.prometheus):
            program.must_run()
        self.results[situation] = [self.prometheus.evaluate(each) for each in self.expressions]
        empty = sum(not count for count in self.results[situation])
        say(f"{situation}: {len(self.expressions)} expressions, {empty} of them without data")

    def fires(self, alert, seconds=40):
        began = time.monotonic()
        until(f"{alert} fires", lambda: alert in self.prometheus.firing(), seconds)
        self.fired.add(alert)
        say(f"{alert} fires after {time.monotonic() - began:.1f} s")

    def clears(self, *alerts, seconds=60):
        began = time.monotonic()
        for alert in alerts:
            until(f"{alert} clears", lambda: alert not in self.prometheus.firing(), seconds)
        say(f"{', '.join(alerts)} cleared after {time.monotonic() - began:.1f} s")


def story_all_is_well(stage):
    time.sleep(15)  # Two windows of the longest rate.
    stage.note("all is well")
    if firing := stage.prometheus.firing():
        raise Failure(f"all is well, but {sorted(firing)} fire")


def story_a_backend_dies(stage):
    stage.backends[1].kill()
    stage.fires("RproxyBackendDown")
    stage.note("a backend is down")
    stage.backends[1].start()
    stage.clears("RproxyBackendDown")


def story_a_backend_flaps(stage):
    def state_changes():
        found = stage.prometheus.ask("query", query='max(rproxy_backend_state_changes_total'
                                     '{backend="b3", pool="web"})')["result"]
        return float(found[0]["value"][1])

    for cycle in range(4):
        before = state_changes()
        stage.backends[2].kill()
        until("b3 goes down", lambda: state_changes() > before)
        down = state_changes()
        stage.backends[2].start()
        if cycle < 3:
            # Longer each time: the proxy trusts a flapping backend later and later.
            until("b3 comes back", lambda: state_changes() > down, 60)
    stage.fires("RproxyBackendFlapping")
    stage.note("a backend flaps")
    stage.clears("RproxyBackendFlapping", "RproxyBackendDown", seconds=120)


def story_all_backends_die(stage):
    for backend in stage.backends:
        backend.kill()
    alerts = ("RproxyPoolAllDown", "RproxyPoolFailOpen", "RproxyHighErrorRatio",
              "RproxyBackendDown")
    for alert in alerts:
        stage.fires(alert)
    stage.note("all backends are down")
    for backend in stage.backends:
        backend.start()
    stage.clears(*alerts)


def story_the_backends_are_overloaded(stage):
    flag = stage.folder / OVERLOADED
    flag.touch()
    stage.fires("RproxyHighErrorRatio")
    stage.note("the backends are overloaded")
    flag.unlink()
    stage.clears("RproxyHighErrorRatio")


def story_the_file_is_broken(stage):
    replica = stage.replicas[1]
    replica.write("pools: {web: {metod: round_robin}}\n")
    stage.fires("RproxyConfigRejected")
    stage.note("a file is broken")
    replica.write(configuration(stage))
    stage.clears("RproxyConfigRejected")


def story_replicas_disagree(stage):
    stage.replicas[1].write(configuration(stage, weight=2))
    stage.fires("RproxyReplicasDisagree")
    stage.note("replicas disagree")
    stage.replicas[1].write(configuration(stage))
    stage.clears("RproxyReplicasDisagree")


def story_a_replica_starts_on_the_kept_copy(stage):
    replica = stage.replicas[1]
    replica.stop()
    replica.write("nonsense: true\n")
    replica.start()
    stage.fires("RproxyRunningOnLastKnownGood")
    stage.note("a replica runs on the kept copy")
    replica.write(configuration(stage))
    stage.clears("RproxyRunningOnLastKnownGood", "RproxyConfigRejected")


def story_a_certificate_nears_its_end(stage):
    stage.certificate.issue(days=5)
    stage.fires("RproxyCertificateExpires")
    stage.note("a certificate nears its end")
    stage.certificate.issue(days=300)
    stage.clears("RproxyCertificateExpires")


STORIES = [story_all_is_well, story_a_backend_dies, story_a_backend_flaps, story_all_backends_die,
           story_the_backends_are_overloaded, story_the_file_is_broken, story_replicas_disagree,
           story_a_replica_starts_on_the_kept_copy, story_a_certificate_nears_its_end]

TLS_STORIES = {story_a_certificate_nears_its_end}


def write_results(stage, path):
    situations = list(stage.results)
    lines = ["# Expressions on a real Prometheus", "",
             "Series that each expression returned, by situation.", "",
             "| File | What | " + " | ".join(situations) + " |",
             "|---" * (2 + len(situations)) + "|"]
    for index, each in enumerate(stage.expressions):
        counts = " | ".join(str(stage.results[situation][index]) for situation in situations)
        lines.append(f"| {each['file']} | {each['title']} | {counts} |")
    if stage.left_out:
        lines += ["", f"## {NO_TLS}", ""]
        lines += [f"- {each['file']}: {each['title']}" for each in stage.left_out]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def without_data(stage):
    for index, each in enumerate(stage.expressions):
        if any(counts[index] for counts in stage.results.values()):
            continue
        if any(name in each["expr"] for name in EMPTY_WITHOUT_A_CONTAINER):
            continue
        if each["title"].removeprefix("alert ") in NOT_FIRED_HERE:
            continue
        yield f"{each['file']}: {each['title']} never had data: {each['expr']}"


def run(arguments, folder):
    stage = Stage(Path(arguments.rproxy).resolve(), folder)
    stories = [story for story in STORIES if stage.tls_port or story not in TLS_STORIES]
    chosen = [story for story in stories if arguments.only in story.__name__]
    for each in stage.left_out:
        say(f"{each['title']} ({each['file']}) {NO_TLS}")
    if not stage.tls_port:
        say(f"the https listener, its traffic and the story of the certificate {NO_TLS}")
    try:
        stage.start()
        with Traffic(stage.port, stage.tls_port):
            for story in chosen:
                say(story.__name__.removeprefix("story_").replace("_", " "))
                story(stage)
    finally:
        stage.stop()
        out = Path(arguments.out)
        out.mkdir(parents=True, exist_ok=True)
        write_results(stage, out / "results.md")
        for log in folder.glob("*.log"):
            shutil.copy(log, out)
    if len(chosen) < len(stories):
        return
    problems = list(without_data(stage))
    names = {name for _, name, _ in references.alerts()}
    excused = set(NOT_FIRED_HERE) | {each["title"].removeprefix("alert ")
                                     for each in stage.left_out}
    problems += [f"{name} never fired" for name in sorted(names - stage.fired - excused)]
    if problems:
        raise Failure("\n".join(problems))
    with_data = sum(any(counts[index] for counts in stage.results.values())
                    for index in range(len(stage.expressions)))
    say(f"{with_data} of {len(stage.expressions)} expressions had data, the others cannot here; "
        f"{len(stage.fired)} alerts fired and cleared; {out / 'results.md'}")
    if stage.left_out:
        say(f"{len(stage.left_out)} expressions {NO_TLS}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rproxy")
    parser.add_argument("--out", default="out/prometheus")
    parser.add_argument("--only", default="", help="stories whose name contains this")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rproxy-live-") as folder:
        try:
            run(arguments, Path(folder))
        except Failure as failure:
            print(f"live.py: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
