"""A node with a network, a Deployment controller and a Service, in this process's namespaces."""

import concurrent.futures
import itertools
import subprocess
import threading
import time

from kubelet import Pod

NODE = "10.88.0.1"
# How long after a change of readiness the clients' view follows (EndpointSlice, kube-proxy).
ENDPOINT_LAG = 1.0


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """A bridge with the node's address; each pod is a network namespace on it."""

    def __init__(self):
        ip("link", "set", "lo", "up")
        ip("link", "add", "pods", "type", "bridge")
        ip("address", "add", f"{NODE}/24", "dev", "pods")
        ip("link", "set", "pods", "up")
        self._hosts = itertools.count(10)

    def add_pod(self, name):
        """Makes the pod's namespace; its address."""
        host = next(self._hosts)
        address = f"10.88.0.{host}"
        ip("netns", "add", name)
        ip("link", "add", f"veth{host}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"veth{host}", "master", "pods", "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return address

    @staticmethod
    def remove_pod(name):
        ip("netns", "delete", name)


class Cluster:
    """One Deployment, its ConfigMaps and its Service."""

    def __init__(self, folder, root, log):
        self._folder, self._root, self.log = folder, root, log
        self._network = Network()
        self._config_maps = {}
        self._numbers = itertools.count(1)
        self.pods = []
        self.ended = []
        self.endpoints = []
        self._closing = threading.Event()
        self._endpoint_thread = threading.Thread(target=self._follow_endpoints, daemon=True)
        self._endpoint_thread.start()

    def _follow_endpoints(self):
        """Publishes the addresses of ready pods ENDPOINT_LAG later. Deleted pods leave, too."""
        history = []
        while not self._closing.wait(0.02):
            now = time.monotonic()
            history.append((now, [pod.address for pod in list(self.pods)
                                  if pod.ready and not pod.deleting]))
            while len(history) > 1 and history[1][0] <= now - ENDPOINT_LAG:
                history.pop(0)
            if history[0][0] <= now - ENDPOINT_LAG:
                self.endpoints = history[0][1]

    def apply_config_map(self, name, files):
        """Stores a ConfigMap; the volumes of running pods follow, as after a kubelet sync."""
        self._config_maps[name] = files
        for pod in self.pods:
            pod.sync_config_map(name, files)

    def _new_pod(self, template):
        name = f"rproxy-{next(self._numbers)}"
        pod = Pod(name, self._network.add_pod(name), template, self._root, self._folder / name,
                  self._config_maps, self.log)
        self.pods.append(pod)
        pod.start()
        return pod

    def run_to_end(self, template, timeout):
        """Runs a Job's pod: (exit status, log)."""
        name = f"job-{next(self._numbers)}"
        pod = Pod(name, self._network.add_pod(name), template, self._root, self._folder / name,
                  self._config_maps, self.log)
        status = pod.run_to_end(timeout)
        self._network.remove_pod(name)
        return status, pod.log_text()

    def _wait_available(self, pods, deployment, timeout=60):
        """Ready for minReadySeconds without a break."""
        needed = deployment["spec"].get("minReadySeconds", 0)
        deadline = time.monotonic() + timeout
        since = None
        while time.monotonic() < deadline:
            if all(pod.ready for pod in pods):
                since = since or time.monotonic()
                if time.monotonic() - since >= needed:
                    return
            else:
                since = None
            if any(pod.restarts > 2 for pod in pods):
                break
            time.sleep(0.02)
        logs = "\n".join(pod.log_text()[-2000:] for pod in pods)
        raise AssertionError(f"the pods did not become available:\n{logs}")

    def install(self, deployment):
        pods = [self._new_pod(deployment["spec"]["template"])
                for _ in range(deployment["spec"]["replicas"])]
        self._wait_available(pods, deployment)

    def rolling_restart(self, deployment):
        """maxSurge 1, maxUnavailable 0: a new pod is available before an old one goes."""
        strategy = deployment["spec"]["strategy"]["rollingUpdate"]
        assert strategy == {"maxSurge": 1, "maxUnavailable": 0}, strategy
        for old in list(self.pods):
            new = self._new_pod(deployment["spec"]["template"])
            self._wait_available([new], deployment)
            self.delete([old])

    def delete(self, pods):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda pod: pod.delete(), pods))
        for pod in pods:
            self.pods.remove(pod)
            self.ended.append(pod)
            self._network.remove_pod(pod.name)

    def close(self):
        self._closing.set()
        self._endpoint_thread.join()
        for pod in list(self.pods):
            pod.process.signal(9)
