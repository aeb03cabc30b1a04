"""The proxies that are compared: how each is configured and started."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from processes import wait_until_answers

HERE = Path(__file__).resolve().parent

# The same facts in all three logs, one JSON object per request.
NGINX_LOG = """log_format facts escape=json '{"time":"$time_iso8601","request_id":"$request_id",'
        '"client":"$remote_addr","method":"$request_method","host":"$http_host","path":"$uri",'
        '"protocol":"$server_protocol","status":$status,"bytes_in":$request_length,'
        '"bytes_out":$bytes_sent,"duration":$request_time,'
        '"backend_duration":"$upstream_response_time","backend":"$upstream_addr"}';
    # Buffered, as nginx's documentation recommends for load; rproxy writes from another thread.
    access_log @DIRECTORY@/nginx-access.log facts buffer=64k flush=1s;"""
# Through a ring that another task empties: cheaper than a write to stdout for each line (measured),
# and like rproxy it loses lines rather than wait for the reader.
HAPROXY_RING = """ring lines
    format rfc5424
    maxlen 1200
    size 4194304
    timeout connect 1s
    timeout server 10s
    server collector 127.0.0.1:@COLLECTOR@ log-proto octet-count
"""
HAPROXY_LOG = """log ring@lines format rfc5424 daemon info
    log-format '{"time":"%trl","request_id":"%ID","client":"%ci","method":"%HM","host":"%[var(txn.host)]","path":"%HPO","protocol":"%HV","status":%ST,"bytes_in":%U,"bytes_out":%B,"duration":%Ta,"backend_duration":%Tr,"backend":"%s","attempts":%rc,"reason":"%ts"}'"""


# Nobody keeps a cache of sessions: tickets only, encrypted with keys of the process.
NGINX_TLS = """ssl_certificate @ROOT@/pair.crt;
        ssl_certificate_key @ROOT@/pair.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:prime256v1;
        ssl_session_cache off;
        ssl_session_tickets on;
        ssl_session_timeout 1d;"""
HAPROXY_TLS = "ssl crt @ROOT@/pair.pem alpn http/1.1 curves X25519:P-256"
RPROXY_TLS = ", tls: {certificates: [{cert: @ROOT@/pair.crt, key: @ROOT@/pair.key}]}"


@dataclass(frozen=True)
class Setup:
    """What a scenario asks of every proxy."""

    workers: int = 1
    access_log: bool = False
    least_connections: bool = False   # else round robin, everybody's default
    check_interval: str = "5s"        # rproxy's default
    tls: bool = False                 # towards clients


@dataclass(frozen=True)
class Backends:
    """Ports: of those that answer, and of the one that takes access logs over the network."""

    ports: list
    collector: int = 0


@dataclass
class Proxy:
    name: str
    port: int
    process: object


def fill(template, values):
    """The template with each @NAME@ replaced; a value may contain names itself."""
    text = template
    for _ in range(2):
        text = re.sub(r"@([A-Z_]+)@", lambda match: str(values[match[1]]), text)
    return text


class Launcher:
    """Starts proxies by name, with what they write below `directory`.

    `lean` leaves out the lines marked "# duty" of nginx and HAProxy: what rproxy always does and
    they need not.
    """

    def __init__(self, processes, programs, rproxy, directory, lean=False):
        self.processes = processes
        self.programs = programs
        self.rproxy = rproxy
        self.root = Path(directory)
        self.directory = self.root
        self.lean = lean

    def start(self, name, ports, backends, setup, cores, label=None):
        """In front of `backends`; `ports`: one to serve on and one for rproxy's admin pages.

        A proxy that runs twice at once needs two labels: each has its own folder.
        """
        self.directory = self.root / (label or name)
        self.directory.mkdir(exist_ok=True)
        if setup.tls:
            self.make_certificate()
        argv, stdout = getattr(self, "_" + name)(ports, backends, setup)
        with open(self.directory / f"{name}.log", "ab") as log:
            if stdout is None:
                process = self.processes.start(argv, cores, log=log)
            else:
                with open(stdout, "ab") as out:
                    process = self.processes.start(argv, cores, stdout=out, log=log)
        wait_until_answers(ports[0], process, name, tls=setup.tls)
        return Proxy(label or name, ports[0], process)

    def make_certificate(self):
        """The same pair for everybody; HAProxy wants both in one file."""
        pair = self.root / "pair.pem"
        if pair.exists():
            return
        key, cert = self.root / "pair.key", self.root / "pair.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=bench",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        pair.write_text(cert.read_text() + key.read_text())

    def _write(self, template, result, values):
        values = {"DIRECTORY": self.directory, **values}
        lines = (HERE / "conf" / template).read_text(encoding="utf-8").splitlines(keepends=True)
        if self.lean:
            lines = [line for line in lines if not line.endswith("# duty\n")]
        text = fill("".join(lines), values)
        (self.directory / result).write_text(text, encoding="utf-8")
        return self.directory / result

    def _floor(self, ports, backends, setup):
        return [self.programs / "bench_relay", "--port", ports[0], "--workers", setup.workers,
                "--backends", ",".join(map(str, backends.ports))], None

    def _nginx(self, ports, backends, setup):
        config = self._write("nginx.conf", "nginx.conf", {
            # Only root may choose a user; the workers must write where we do.
            "USER": "user root;" if os.geteuid() == 0 else "",
            "PORT": ports[0], "WORKERS": setup.workers,
            "SSL": "ssl" if setup.tls else "",
            "TLS": NGINX_TLS.replace("@ROOT@", str(self.root)) if setup.tls else "",
            "ACCESS_LOG": NGINX_LOG if setup.access_log else "access_log off;",
            "BALANCE": "least_conn;" if setup.least_connections else "",
            # nginx has no active checks; this is the nearest to fall: 3 and outlier ejection.
            "SERVERS": "\n        ".join(
                f"server 127.0.0.1:{port} max_fails=3 fail_timeout=10s;" for port in backends.ports),
        })
        return [find("nginx"), "-e", self.directory / "nginx-error.log", "-p", self.directory,
                "-c", config], None

    def _haproxy(self, ports, backends, setup):
        config = self._write("haproxy.cfg", "haproxy.cfg", {
            "PORT": ports[0], "WORKERS": setup.workers, "CHECK_INTERVAL": setup.check_interval,
            "TLS": HAPROXY_TLS.replace("@ROOT@", str(self.root)) if setup.tls else "",
            "SCHEME": "https" if setup.tls else "http",
            "ACCESS_LOG": HAPROXY_LOG if setup.access_log else "",
            "COLLECTOR": backends.collector,
            "RING": HAPROXY_RING if setup.access_log else "",
            "LOG_HOST": "http-request set-var(txn.host) req.hdr(host)" if setup.access_log else "",
            "BALANCE": "leastconn" if setup.least_connections else "roundrobin",
            "SERVERS": "\n    ".join(
                f"server b{i} 127.0.0.1:{port}" for i, port in enumerate(backends.ports)),
        })
        return [find("haproxy"), "-db", "-f", config], self.directory / "haproxy-access.log"

    def _rproxy(self, ports, backends, setup):
        config = self._write("rproxy.yaml", "rproxy.yaml", {
            "PORT": ports[0], "CHECK_INTERVAL": setup.check_interval,
            "TLS": RPROXY_TLS.replace("@ROOT@", str(self.root)) if setup.tls else "",
            "ACCESS_LOG": str(setup.access_log).lower(),
            "BALANCE": "least_connections" if setup.least_connections else "round_robin",
            "SERVERS": ", ".join(f'"127.0.0.1:{port}"' for port in backends.ports),
        })
        return [self.rproxy, "serve", "--config", config, "--admin", f"127.0.0.1:{ports[1]}",
                "--workers", setup.workers], self.directory / "rproxy-access.log"

    def forget_logs(self):
        """Access logs of one run are not kept: they grow by tens of megabytes a second."""
        for path in self.root.rglob("*-access.log"):
            os.truncate(path, 0)


def find(program):
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise RuntimeError(f"{program} is not installed; run hack/install-deps.sh --all")
    return path


def version(name, rproxy):
    if name == "floor":
        return "bench_relay"
    argv = {"nginx": [find("nginx"), "-v"], "haproxy": [find("haproxy"), "-v"],
            "rproxy": [rproxy, "version"] if rproxy else []}[name]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = (result.stdout + result.stderr).splitlines()
    return lines[0].strip() if lines else "unknown"
