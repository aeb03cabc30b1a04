"""What the end-to-end scripts share: ports, waiting, verdicts and the proxy as a process."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise SystemExit(f"FAILED: {what} did not happen within {seconds} s")


def check(what, ok, detail=""):
    print(f"{'ok  ' if ok else 'FAIL'}  {what}{': ' + detail if detail else ''}", flush=True)
    if not ok:
        raise SystemExit(1)


class ConfigMap:
    """A directory laid out and swapped as kubelet's atomic writer does."""

    def __init__(self, root):
        self.root = root
        self.count = 0

    def put(self, text):
        self.count += 1
        fresh = os.path.join(self.root, f"..2026_{self.count:06}")
        os.mkdir(fresh)
        with open(os.path.join(fresh, "rproxy.yaml"), "w", encoding="utf-8") as file:
            file.write(text)
        link = os.path.join(self.root, "..data_tmp")
        os.symlink(os.path.basename(fresh), link)
        data = os.path.join(self.root, "..data")
        old = os.readlink(data) if os.path.islink(data) else None
        os.rename(link, data)
        name = os.path.join(self.root, "rproxy.yaml")
        if not os.path.islink(name):
            os.symlink("..data/rproxy.yaml", name)
        if old:
            shutil.rmtree(os.path.join(self.root, old))

    @property
    def path(self):
        return os.path.join(self.root, "rproxy.yaml")


class Proxy:
    def __init__(self, program, config, admin_port):
        self.admin = f"http://127.0.0.1:{admin_port}"
        self.process = subprocess.Popen(
            [program, "serve", "--config", config, "--admin", f"127.0.0.1:{admin_port}", "--workers", "2"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()
        wait_for("rproxy is ready", lambda: self.get("/readyz")[0] == 200)

    def get(self, path):
        try:
            with urllib.request.urlopen(self.admin + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def stop(self, seconds=15):
        """Ends it as Kubernetes does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def metric(self, name, **labels):
        """The sample's value, or None if it is absent."""
        for line in self.get("/metrics")[1].splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                if all(found.get(key) == value for key, value in labels.items()):
                    return float(match[3])
        return None
