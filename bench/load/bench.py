#!/usr/bin/env python3
"""Compares rproxy with nginx, HAProxy and the floor; bench/load/run.sh builds and calls it."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import chart
import report
from processes import Processes, cpu_of, free_ports, memory_of, wait_until_answers
from proxies import Backends, Launcher, find, version
from scenarios import EVERYBODY, SCENARIOS

HERE = Path(__file__).resolve().parent
WARM_UP_SECONDS = 0.5
FAILURE_RATE = 2000          # requests/s: far below what any of them can do
SLOW_BACKEND_MS = 100
SETTLE_SECONDS = 1.0         # until memory of finished requests has been given back


@dataclass(frozen=True)
class Cores:
    """The cores of the proxies, and of what surrounds them."""

    client: set
    backend: set
    one: set
    two: set

    @staticmethod
    def choose():
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == 1:
            print("only one core: the figures include waiting for it", file=sys.stderr)
        backend = cores[1] if len(cores) > 2 else cores[0]
        # Two workers need two cores of their own and two for the load; with fewer all is shared.
        two = set(cores[-2:]) if len(cores) >= 4 else set(cores)
        return Cores({cores[0]}, {backend}, {cores[-1]}, two)

    def of_proxy(self, setup):
        return self.one if setup.workers == 1 else self.two


class Bench:
    def __init__(self, options, processes, directory):
        self.options = options
        self.processes = processes
        self.cores = Cores.choose()
        self.programs = Path(options.programs)
        self.launcher = Launcher(processes, self.programs, options.rproxy, directory,
                                 options.lean)
        self.rate = None

    def run(self, scenario):
        """The records of every round by proxy."""
        names = [name for name in scenario.proxies if name in self.options.proxies
                 and not (name == "floor" and scenario.new_connection and self.uses_wrk(scenario))]
        records = {name: [] for name in names}
        measure = {"idle": self.measure_idle, "failure": self.measure_failure}.get(scenario.kind)
        if measure:
            self.interleave(names, lambda name: records[name].append(measure(scenario, name)))
            return records
        variants = {name: (name, scenario.setup) for name in names}
        if scenario.setup.access_log:
            # The same without it, in the same rounds: what the log costs.
            silent = replace(scenario.setup, access_log=False)
            variants |= {f"{name}-silent": (name, silent) for name in names}
        records = {label: [] for label in variants}
        ports = free_ports(5 + 2 * len(variants))
        backends = Backends(ports[:4], ports[4])
        backend = self.start_backend(backends)
        started = {}
        for i, (label, (name, setup)) in enumerate(variants.items()):
            mine = ports[5 + 2 * i:7 + 2 * i]
            started[label] = self.launcher.start(name, mine, backends, setup,
                                                 self.cores.of_proxy(setup), label)
        for proxy in started.values():
            self.client(scenario, proxy.port, WARM_UP_SECONDS)
        rate = self.half_load(scenario, started) if scenario.kind == "rate" else None
        self.interleave(list(variants), lambda label: records[label].append(
            self.measure(scenario, started[label], rate)))
        for process in [proxy.process for proxy in started.values()] + [backend]:
            self.processes.stop(process)
        return records

    def interleave(self, names, measure):
        """Each round measures every proxy once, beginning with another one each time."""
        for turn in range(self.options.rounds):
            first = turn % len(names) if names else 0
            for name in names[first:] + names[:first]:
                measure(name)
                self.launcher.forget_logs()

    def start_backend(self, backends, delay_ms=0):
        argv = [self.programs / "bench_backend", "--ports", ",".join(map(str, backends.ports)),
                "--delay-ms", delay_ms]
        argv += ["--collector-port", backends.collector] if backends.collector else []
        process = self.processes.start(argv, self.cores.backend, log=sys.stderr)
        wait_until_answers(backends.ports[0], process, "bench_backend")
        return process

    def uses_wrk(self, scenario):
        return (self.options.generator == "wrk" and scenario.kind == "closed"
                and not scenario.tls)

    def client_argv(self, scenario, port, seconds, rate):
        if self.uses_wrk(scenario):
            return [find("wrk"), "-t1", f"-c{scenario.connections}", f"-d{max(1, round(seconds))}",
                    "-s", HERE / "wrk.lua", f"http://127.0.0.1:{port}", "--", scenario.paths,
                    scenario.body_bytes, scenario.headers, int(scenario.new_connection)]
        argv = [self.programs / "bench_client", "--port", port, "--seconds", seconds,
                "--connections", scenario.connections, "--paths", scenario.paths,
                "--body-bytes", scenario.body_bytes, "--headers", scenario.headers]
        argv += ["--new-connection"] if scenario.new_connection else []
        argv += ["--tls", scenario.tls] if scenario.tls else []
        return argv + (["--rate", rate] if rate else [])

    def client(self, scenario, port, seconds, rate=None):
        process = self.processes.start(self.client_argv(scenario, port, seconds, rate),
                                       self.cores.client, stdout=subprocess.PIPE, log=sys.stderr)
        output = process.communicate(timeout=seconds + 30)[0].decode()
        self.processes.stop(process)
        if process.returncode != 0:
            raise RuntimeError(f"the load generator failed in {scenario.name}")
        return json.loads(output.splitlines()[-1])

    def half_load(self, scenario, started):
        """Half of what the slowest proxy can do: the same rate for all."""
        able = [self.client(scenario, proxy.port, 1)
                for name, proxy in started.items() if name != "floor"]
        self.rate = round(min(run["requests"] / run["seconds"] for run in able) / 2)
        return self.rate

    def measure(self, scenario, proxy, rate=None):
        before = cpu_of(proxy.process.pid)
        record = self.client(scenario, proxy.port, self.options.seconds, rate)
        used = cpu_of(proxy.process.pid) - before
        if record["requests"] == 0:
            raise RuntimeError(f"{proxy.name} answered nothing in {scenario.name}")
        user, system = used.split()
        memory = memory_of(proxy.process.pid)
        record.update(
            cpu_us=used.total_ns / 1e3 / record["requests"],
            user_us=user / 1e3 / record["requests"], system_us=system / 1e3 / record["requests"],
            busy=used.total_ns / 1e9 / record["seconds"],
            requests_per_second=record["requests"] / record["seconds"],
            rss_bytes=memory.rss, pss_bytes=memory.pss)
        self.refuse_failures(scenario, proxy.name, record)
        return record

    @staticmethod
    def refuse_failures(scenario, name, record):
        """A proxy that is fast because it fails must not win."""
        if scenario.kind == "failure":
            return
        bad = record["failures"] + record.get("unfinished", 0)
        if not scenario.expects_errors:
            bad += record["status_4xx"] + record.get("status_5xx", 0)
        if bad > record["requests"] / 1000:
            raise RuntimeError(f"{name} failed {bad} of {record['requests']} requests "
                               f"in {scenario.name}: {record}")

    def measure_idle(self, scenario, name):
        """Memory of a fresh proxy without and with connections that have had one answer."""
        ports = free_ports(6)
        backends = Backends(ports[:4])
        backend = self.start_backend(backends)
        proxy = self.launcher.start(name, ports[4:], backends, scenario.setup, self.cores.one)
        self.client(SCENARIOS[0], proxy.port, WARM_UP_SECONDS)
        time.sleep(SETTLE_SECONDS)
        before = memory_of(proxy.process.pid)
        holder = self.processes.start(
            [self.programs / "bench_client", "--port", proxy.port, "--hold", "--connections",
             scenario.connections], self.cores.client, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, log=sys.stderr)
        if not holder.stdout.readline():
            raise RuntimeError(f"{name} did not take {scenario.connections} connections")
        time.sleep(SETTLE_SECONDS)
        after = memory_of(proxy.process.pid)
        held = json.loads(holder.communicate(timeout=30)[0])["open"]
        if held != scenario.connections:
            raise RuntimeError(f"{name} kept only {held} of {scenario.connections} connections")
        for process in (holder, proxy.process, backend):
            self.processes.stop(process)
        return {"bytes_per_connection": (after.pss - before.pss) / held,
                "heap_per_connection": (after.heap - before.heap) / held,
                "rss_bytes": after.rss, "pss_bytes": after.pss}

    def measure_failure(self, scenario, name):
        """Four backends; one is slow from the start, another is killed after a third of the time."""
        ports = free_ports(6)
        backends = [self.start_backend(Backends([port]), SLOW_BACKEND_MS if i == 0 else 0)
                    for i, port in enumerate(ports[:4])]
        proxy = self.launcher.start(name, ports[4:], Backends(ports[:4]), scenario.setup,
                                    self.cores.one)
        seconds = max(self.options.seconds, 6)
        before = cpu_of(proxy.process.pid)
        client = self.processes.start(
            self.client_argv(scenario, proxy.port, seconds, FAILURE_RATE)
            + ["--slow-ms", SLOW_BACKEND_MS // 2],
            self.cores.client, stdout=subprocess.PIPE, log=sys.stderr)
        time.sleep(seconds / 3)
        backends[1].kill()
        record = json.loads(client.communicate(timeout=seconds + 30)[0])
        used = cpu_of(proxy.process.pid) - before
        record["failed"] = record["failures"] + record["unfinished"] + record["status_5xx"]
        record["slow_percent"] = 100 * record["slow"] / record["requests"]
        record["cpu_us"] = used.total_ns / 1e3 / record["requests"]
        for process in [client, proxy.process] + backends:
            self.processes.stop(process)
        return record


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "load_before": os.getloadavg()[0], "commit": commit,
            "date": time.strftime("%Y-%m-%d %H:%M:%S %z")}


def parse_options(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each proxy per scenario")
    parser.add_argument("--seconds", type=float, default=4, help="length of a run")
    parser.add_argument("--scenarios", default="", metavar="A,B", help="default: all")
    parser.add_argument("--proxies", default=",".join(EVERYBODY), metavar="A,B")
    parser.add_argument("--generator", choices=["client", "wrk"], default="client",
                        help="of the closed-loop scenarios")
    parser.add_argument("--rproxy", metavar="PATH", help="the binary to measure")
    parser.add_argument("--programs", required=True, help="where bench_* are (run.sh sets it)")
    parser.add_argument("--lean", action="store_true",
                        help="nginx and haproxy without what rproxy does and they need not do")
    parser.add_argument("--output", default="out/bench", metavar="DIR")
    parser.add_argument("--list", action="store_true", help="print the scenarios and stop")
    options = parser.parse_args(argv)
    options.proxies = [name for name in options.proxies.split(",") if name]
    names = [scenario.name for scenario in SCENARIOS]
    chosen = [name for name in options.scenarios.split(",") if name] or names
    for given, known in ((chosen, names), (options.proxies, EVERYBODY)):
        for name in given:
            if name not in known:
                parser.error(f"{name} is none of {', '.join(known)}")
    options.scenarios = [scenario for scenario in SCENARIOS if scenario.name in chosen]
    if "rproxy" in options.proxies and not options.list:
        if not options.rproxy or not os.access(options.rproxy, os.X_OK):
            parser.error("no rproxy binary: give --rproxy PATH or leave it out of --proxies")
    return options


def main(argv):
    options = parse_options(argv)
    if options.list:
        for scenario in options.scenarios:
            print(f"{scenario.name:16}{scenario.title}")
        return 0
    # Both unwind, so that everything that was started is ended.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(), "rounds": options.rounds, "seconds": options.seconds,
               "generator": options.generator, "lean": options.lean,
               "versions": {name: version(name, options.rproxy) for name in options.proxies},
               "scenarios": []}
    with tempfile.TemporaryDirectory(prefix="rproxy-bench.") as directory:
        for scenario in options.scenarios:
            # One block of processes for each scenario: it begins with nothing running.
            try:
                with Processes() as processes:
                    bench = Bench(options, processes, directory)
                    entry = report.summarise(scenario, bench.run(scenario), bench.rate)
            except Exception:
                for log in sorted(Path(directory).rglob("*.log")):
                    if "access" not in log.name and log.stat().st_size > 0:
                        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                        print(f"--- {log.relative_to(directory)}\n{tail}", file=sys.stderr)
                raise
            results["scenarios"].append(entry)
            print(report.scenario_text(entry), flush=True)
            # Written after each scenario: an interrupted run keeps what it has measured.
            (output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    text = report.text(results)
    (output / "results.txt").write_text(text)
    (output / "chart.svg").write_text(chart.draw(results))
    print(report.goals_text(results), end="")
    print(f"Written to {output}: results.txt, results.json, chart.svg")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
