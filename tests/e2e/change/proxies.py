"""The proxies under test: how each is configured, started and told of a new file."""

import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import ConfigMap, free_port, wait_for  # noqa: E402


@dataclass
class Version:
    """What a configuration says, in no proxy's words."""

    port: int
    web: list            # ports
    steady: list         # ports
    least_connections: bool = False
    more_port: int = 0   # another listener
    timeout: int = 30    # seconds until an answer, of the steady pool: changes nothing for anybody
    broken: bool = False


def tree(pid):
    """The process and all its descendants that live."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


class Proxy:
    """A process (tree), its files below `root`."""

    name = ""

    def __init__(self, root, program):
        self.root, self.program, self.process = root, program, None

    def launch(self, words, **options):
        with open(os.path.join(self.root, "output"), "ab") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=output, **options)

    def processes(self):
        return tree(self.process.pid)

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.processes() if os.path.exists(f"/proc/{pid}/fd"))

    def resident(self):
        """Bytes, over all processes; shared pages count once for each."""
        total = 0
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                    total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:
                pass
        return total

    def stop(self):
        for pid in reversed(self.processes()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


class Rproxy(Proxy):
    """Watches its file by itself."""

    name = "rproxy"

    def start(self, version):
        self.admin_port = free_port()
        self.config_map = ConfigMap(self.root)
        self.config_map.put(self.text(version))
        self.launch([self.program, "serve", "--config", self.config_map.path, "--workers", "2",
                     "--admin", f"127.0.0.1:{self.admin_port}", "--log-level", "warn"])
        wait_for("rproxy is ready", lambda: self.admin("/readyz") is not None)

    @staticmethod
    def text(version):
        def pool(ports):
            return ", ".join(f"'127.0.0.1:{port}'" for port in ports)

        listeners = [f"{{name: http, address: '127.0.0.1:{version.port}'}}"]
        if version.more_port:
            listeners.append(f"{{name: more, address: '127.0.0.1:{version.more_port}'}}")
        return f"""
listeners: [{", ".join(listeners)}]
pools:
  web:
    {"metod" if version.broken else "method"}: {"least_connections" if version.least_connections else "round_robin"}
    backends: [{pool(version.web)}]
    health_check: {{path: /healthz, interval: 300ms, timeout: 2s}}
    timeouts: {{idle: 2s}}
  steady:
    backends: [{pool(version.steady)}]
    timeouts: {{response: {version.timeout}s, idle: 2s}}
routes: [{{path: /, pool: web}}, {{path: /steady, pool: steady}}]
log: {{access: false, level: warn}}
"""

    def change(self, version, identical=False):
        del identical  # bytes are compared by whoever reads them
        self.config_map.put(self.text(version))

    def admin(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name):
        for line in (self.admin("/metrics") or "").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return None


class Reloaded(Proxy):
    """Reads its file when it is told to."""

    reload_signal = signal.SIGHUP

    def start(self, version):
        self.path = os.path.join(self.root, "proxy.conf")
        self.write(version)
        self.launch(self.words())

    def write(self, version):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(self.text(version))
        os.rename(self.path + ".new", self.path)

    def change(self, version, identical=False):
        self.write(version)
        if not identical:  # whoever tells it compares the bytes first
            os.kill(self.process.pid, self.reload_signal)


class Nginx(Reloaded):
    name = "nginx"

    def words(self):
        return [self.program, "-p", self.root, "-c", self.path, "-e", os.path.join(self.root, "error.log")]

    def text(self, version):
        def servers(ports):
            return " ".join(f"server 127.0.0.1:{port} max_fails=3 fail_timeout=1s;" for port in ports)

        more = f"listen 127.0.0.1:{version.more_port} reuseport;" if version.more_port else ""
        return f"""
daemon off; user root; worker_processes 2; pid {self.root}/pid; error_log {self.root}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {self.root}/body; proxy_temp_path {self.root}/temp;
    fastcgi_temp_path {self.root}/f; uwsgi_temp_path {self.root}/u; scgi_temp_path {self.root}/s;
    client_max_body_size 0; keepalive_requests 1000000; proxy_http_version 1.1;
    map $http_upgrade $connection_field {{ default upgrade; '' ''; }}
    upstream web {{ {"least_conn;" if version.least_connections else ""} {servers(version.web)} keepalive 32; }}
    upstream steady {{ {servers(version.steady)} keepalive 32; }}
    proxy_set_header Connection $connection_field; proxy_set_header Upgrade $http_upgrade;
    proxy_connect_timeout 1s;
    {"proxy_nonsense on;" if version.broken else ""}
    server {{
        listen 127.0.0.1:{version.port} reuseport; {more}
        location / {{ proxy_pass http://web; }}
        location /steady {{ proxy_pass http://steady; proxy_read_timeout {version.timeout}s; }}
    }}
}}
"""


class Haproxy(Reloaded):
    name = "haproxy"
    reload_signal = signal.SIGUSR2

    def words(self):
        return [self.program, "-W", "-f", self.path]

    def text(self, version):
        def servers(ports):
            return "\n".join(f"    server s{port} 127.0.0.1:{port} check inter 300ms" for port in ports)

        more = f"bind 127.0.0.1:{version.more_port}" if version.more_port else ""
        return f"""
global
    nbthread 2
    stats socket {self.root}/stats.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    option http-keep-alive
    option idle-close-on-response
    option redispatch 1
    retries 3
    retry-on all-retryable-errors
    timeout connect 1s
    timeout client 60s
    timeout server {version.timeout}s
    timeout tunnel 1h
    timeout http-keep-alive 60s
frontend clients
    bind 127.0.0.1:{version.port}
    {more}
    use_backend steady if {{ path_beg /steady }}
    default_backend web
backend web
    {"balanse" if version.broken else "balance"} {"leastconn" if version.least_connections else "roundrobin"}
    option httpchk GET /healthz
{servers(version.web)}
backend steady
{servers(version.steady)}
"""
