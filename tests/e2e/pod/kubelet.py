"""One pod as kubelet runs it: volumes, container, probes, hooks, restarts, termination."""

import json
import pathlib
import signal
import subprocess
import threading
import time

import cgroup
import volumes

HERE = pathlib.Path(__file__).resolve().parent


class Probe:
    """A probe's counters and thresholds, by the rules of kubelet's prober."""

    def __init__(self, spec, initially):
        self.command = spec["exec"]["command"]
        self.period = spec.get("periodSeconds", 10)
        self.timeout = spec.get("timeoutSeconds", 1)
        self.delay = spec.get("initialDelaySeconds", 0)
        self._needed = {True: spec.get("successThreshold", 1), False: spec.get("failureThreshold", 3)}
        self.verdict = initially
        self._last = None
        self._run = 0

    def observe(self, success):
        """Takes one result; True if the verdict changed or a failure threshold was reached."""
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        if self._run < self._needed[success]:
            return False
        changed = self.verdict != success
        self.verdict = success
        return changed or not success


class Container:
    """One run of the container's process."""

    def __init__(self, pod, attempt):
        spec = pod.container
        security = {**pod.spec.get("securityContext", {}), **spec.get("securityContext", {})}
        self._user, self._group = security["runAsUser"], security["runAsGroup"]
        self.limits = cgroup.Limits(f"rproxy-pod-{pod.name}-{attempt}",
                                    spec.get("resources", {}).get("limits", {}))
        request = {
            "root": str(pod.root), "user": self._user, "group": self._group,
            "groups": [group for group in [security.get("fsGroup")] if group is not None],
            "argv": spec["command"] + spec.get("args", []),
            "env": {"PATH": "/usr/bin:/bin", "HOSTNAME": pod.name,
                    **{item["name"]: item["value"] for item in spec.get("env", [])}},
            "mounts": pod.mounts, "cgroups": [str(folder) for folder in self.limits.folders],
        }
        path = pod.folder / f"container-{attempt}.json"
        path.write_text(json.dumps(request))
        self.log = pod.folder / f"container-{attempt}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{pod.name}", "unshare", "--mount", "--pid", "--ipc", "--uts",
                 "--fork", "--kill-child", "/usr/bin/python3", "-B", str(HERE / "container.py"),
                 str(path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self._child()

    def _child(self):
        """The container's PID 1 as this namespace sees it."""
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            found = children.read_text().split()
            if found:
                return int(found[0])
            time.sleep(0.005)
        raise RuntimeError(f"the container did not start: {self.log.read_text()}")

    def exec(self, command, timeout):
        """Runs a command in the container as its user: (success, output)."""
        entered = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--ipc",
                   "--uts", "--root", "--wd", "--setgid", str(self._group), "--setuid",
                   str(self._user), "--", *command]
        try:
            done = subprocess.run(entered, capture_output=True, text=True, timeout=timeout,
                                  stdin=subprocess.DEVNULL, check=False)
        except subprocess.TimeoutExpired:
            return False, f"timed out after {timeout} s"
        return done.returncode == 0, done.stdout + done.stderr

    def signal(self, number):
        try:
            pathlib.Path(f"/proc/{self.pid}/stat").read_text()
            subprocess.run(["kill", f"-{int(number)}", str(self.pid)], check=False,
                           stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            pass

    def wait(self, timeout):
        """Its exit status (128 + n for signal n), or None while it runs."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self.limits.remove()
        return 128 - status if status < 0 else status


class Pod:
    """Runs from start() until delete() has ended. `ready` is what its condition would say."""

    def __init__(self, name, address, template, root, folder, config_maps, log):
        self.name, self.address, self.root = name, address, root
        self.spec = template["spec"]
        self.container = self.spec["containers"][0]
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self._log = lambda text: log(f"{name}: {text}")
        self.restarts = 0
        self.deleting = False
        # A sidecar's SIGTERM waits, after its own hook, until the application has exited.
        self.until_application_ended = lambda: None
        self.exit_status = None
        self.killed = False
        self.mounts = []
        self._config_volumes = {}
        self._ended = threading.Event()
        self._started = False
        self._probes = {}
        self._lay_out_volumes(config_maps)

    @property
    def ready(self):
        probe = self._probes.get("readiness")
        return self._started and bool(probe and probe.verdict) and not self._ended.is_set()

    def _lay_out_volumes(self, config_maps):
        group = self.spec.get("securityContext", {}).get("fsGroup", 0)
        for volume in self.spec["volumes"]:
            folder = self.folder / "volumes" / volume["name"]
            if "configMap" in volume:
                self._config_volumes[volume["configMap"]["name"]] = folder
                volumes.write_atomically(folder, config_maps[volume["configMap"]["name"]])
            elif "emptyDir" in volume:
                volumes.make_empty_dir(folder, group)
            else:
                raise NotImplementedError(f"volume {volume}")
        for mount in self.container["volumeMounts"]:
            (self.root / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
            self.mounts.append({"source": str(self.folder / "volumes" / mount["name"]),
                                "target": mount["mountPath"],
                                "read_only": mount.get("readOnly", False)})

    def sync_config_map(self, name, files):
        if name in self._config_volumes:
            volumes.write_atomically(self._config_volumes[name], files)

    def run_to_end(self, timeout):
        """As the pod of a Job: no probes, no restart. Its exit status."""
        self._start_container()
        return self.process.wait(timeout)

    def start(self):
        self._start_container()
        self._prober = threading.Thread(target=self._run, daemon=True)
        self._prober.start()

    def _start_container(self):
        self._started = False
        self._probes = {}
        for kind, initially in (("startup", False), ("readiness", False), ("liveness", True)):
            if spec := self.container.get(f"{kind}Probe"):
                self._probes[kind] = Probe(spec, initially)
        self.process = Container(self, self.restarts)
        self._log(f"container started (limits: {self.process.limits})")

    def _run(self):
        """kubelet's loop over one container: probe by the clock, restart what ends or is not live."""
        due = {}
        while not self._ended.is_set():
            status = self.process.wait(0)
            if status is not None and not self.deleting:
                self._log(f"container ended with status {status}, restarting")
                self._restart()
                due = {}
                continue
            kinds = ["startup"] if not self._started else ["readiness", "liveness"]
            if "startup" not in self._probes:
                self._started, kinds = True, ["readiness", "liveness"]
            now = time.monotonic()
            for kind in kinds:
                probe = self._probes.get(kind)
                # A pod that is going away is no longer asked whether it lives.
                if probe and not (self.deleting and kind != "readiness") and \
                        now >= due.get(kind, 0):
                    due[kind] = now + probe.period
                    if self._probe(kind, probe):
                        due = {}
            self._ended.wait(0.05)

    def _probe(self, kind, probe):
        """Runs one probe and acts on it; True when the container was restarted."""
        before = probe.verdict
        success, output = self.process.exec(probe.command, probe.timeout)
        if not probe.observe(success):
            return False
        if probe.verdict != before or kind != "readiness":
            self._log(f"{kind} {'passed' if success else 'failed: ' + output.strip()}")
        if kind == "startup" and success:
            self._started = True
        elif kind in ("startup", "liveness") and not success and not self.deleting:
            self._stop()
            self._restart()
            return True
        return False

    def _restart(self):
        # kubelet's first back-off is 10 s; none of what is tested here depends on its length.
        self._ended.wait(0.5)
        self.restarts += 1
        self._start_container()

    def _stop(self):
        """preStop, SIGTERM, and SIGKILL when the grace period is over; the exit status."""
        grace = self.spec.get("terminationGracePeriodSeconds", 30)
        begin = time.monotonic()
        hook = self.container.get("lifecycle", {}).get("preStop")
        if hook:
            success, output = self.process.exec(hook["exec"]["command"], grace)
            self._log(f"preStop {'done' if success else 'failed: ' + output.strip()} "
                      f"after {time.monotonic() - begin:.2f} s")
        self.until_application_ended()
        self.process.signal(signal.SIGTERM)
        # kubelet leaves at least two seconds, however long the hook took.
        left = max(2.0, grace - (time.monotonic() - begin))
        status = self.process.wait(left)
        if status is None:
            self.killed = True
            self.process.signal(signal.SIGKILL)
            status = self.process.wait(10)
        self._log(f"ended with status {status} after {time.monotonic() - begin:.1f} s of {grace} s")
        return status

    def delete(self):
        self.deleting = True
        self.exit_status = self._stop()
        self._ended.set()
        self._prober.join()

    def log_text(self):
        return "".join(path.read_text(errors="replace")
                       for path in sorted(self.folder.glob("container-*.log")))
