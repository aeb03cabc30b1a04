#!/usr/bin/env python3
"""The rendered Deployment, run as kubelet would, from install to delete. Start it with run.sh.

Environment: RPROXY (the program), HELM.
"""

import contextlib
import copy
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import yaml

import cluster
import load

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHART = ROOT / "charts" / "rproxy"
START = time.monotonic()


def log(text):
    print(f"{time.monotonic() - START:7.2f}  {text}", file=sys.stderr, flush=True)


def render(values):
    """The chart's documents by (kind, name)."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        done = subprocess.run([os.environ["HELM"], "template", "rproxy", str(CHART), "-f", file.name],
                              capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return {(document["kind"], document["metadata"]["name"]): document
            for document in yaml.safe_load_all(done.stdout) if document}


def eventually(condition, timeout=10, what="the condition"):
    """Waits until condition() is true; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < timeout:
        if condition():
            return time.monotonic() - began
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {timeout} s")


def get(pod, path="/", port=8080):
    """One request on a connection of its own: (status, body, reason code)."""
    with contextlib.closing(http.client.HTTPConnection(pod.address, port, timeout=5)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.getheader("X-Rproxy-Reason")


def metric(pod, name):
    """The value of a metric without labels, or None."""
    match = re.search(rf"^{name} (\S+)$", get(pod, "/metrics", 9090)[1], re.M)
    return float(match[1]) if match else None


class Backend:
    """A process of backend.py, on the node or in the network namespace of a pod."""

    def __init__(self, name, port, host=cluster.NODE, namespace=None):
        self.address = f"{host}:{port}"
        inside = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
        self._process = subprocess.Popen(
            [*inside, sys.executable, "-B", str(HERE / "backend.py"), name, host, str(port)],
            stdout=subprocess.PIPE)
        self._process.stdout.readline()

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class LifeOfADeployment(unittest.TestCase):
    """Each test installs the chart anew, in the one node that the network namespace is."""

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="rproxy-pod-")
        # The container's user must reach its root.
        os.chmod(cls.work.name, 0o755)
        cls.root = pathlib.Path(cls.work.name) / "image"
        subprocess.run([ROOT / "hack/image-root.sh", os.environ["RPROXY"], cls.root,
                        "--without-packages"], check=True)
        cls.cluster = cluster.Cluster(pathlib.Path(cls.work.name), cls.root, log)
        cls.backends = [Backend("a", 8001), Backend("b", 8002)]

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()
        for backend in cls.backends:
            backend.stop()
        cls.work.cleanup()

    def values(self, *backends, **more):
        return {"config": {"backends": [self.backends[index].address for index in backends]}, **more}

    def installed(self, values):
        """Renders, stores the ConfigMap and starts the Deployment, which it returns."""
        documents = render(values)
        self.apply_config(documents)
        deployment = documents["Deployment", "rproxy"]
        self.cluster.install(deployment)
        self.addCleanup(lambda: self.cluster.delete(list(self.cluster.pods)))
        return deployment

    def apply_config(self, documents):
        for (kind, name), document in documents.items():
            if kind == "ConfigMap" and "rproxy.yaml" in document["data"]:
                self.cluster.apply_config_map(name, document["data"])

    def assert_clean_end(self, pods):
        for pod in pods:
            self.assertEqual((pod.exit_status, pod.killed, pod.restarts), (0, False, 0),
                             f"{pod.name}: {pod.log_text()[-2000:]}")

    def test_install_change_rolling_restart_and_delete_lose_no_request(self):
        deployment = self.installed(self.values(0))
        eventually(lambda: len(self.cluster.endpoints) == 2, what="both pods in the Service")
        before = list(self.cluster.pods)
        with load.Load(self.cluster, 8080) as clients:
            eventually(lambda: clients.total > 500, 30, "500 answers")
            self.assertEqual(set(clients.answers), {"a"})
            log(f"installed: {clients.total} answers, all from a")

            # The upgrade renders anew, its hook checks the file, kubelet delivers it.
            documents = render(self.values(1))
            self.apply_config(documents)
            swapped = time.monotonic()

            def only_b():
                clients.mark()
                eventually(lambda: sum(clients.since_mark().values()) > 100)
                return set(clients.since_mark()) == {"b"}
            eventually(only_b, what="all answers from b")
            log(f"changed: all answers from b {time.monotonic() - swapped:.2f} s after the swap")
            for pod in self.cluster.pods:
                # Whoever changes a ConfigMap wants no pod to restart.
                self.assertEqual(pod.restarts, 0)
            self.assertEqual(self.cluster.pods, before)

            changed = copy.deepcopy(deployment)
            changed["spec"]["template"]["metadata"]["annotations"]["restartedAt"] = "now"
            self.cluster.rolling_restart(changed)
            log(f"rolling restart done: {clients.total} answers, {len(clients.failures)} failed")
            self.assertFalse(set(before) & set(self.cluster.pods))

            self.cluster.delete(list(self.cluster.pods))
            log(f"deleted: {clients.total} answers, {len(clients.failures)} failed requests")
            self.assertEqual(self.cluster.endpoints, [])
        self.assertEqual(clients.failures, [])
        self.assertGreater(clients.total, 2000)
        self.assert_clean_end(self.cluster.ended[-4:])

    def test_the_clients_do_notice_a_pod_that_is_killed(self):
        """Zero failures mean something only if the clients can fail."""
        self.installed(self.values(0, replicaCount=1))
        eventually(lambda: self.cluster.endpoints, what="the pod in the Service")
        with load.Load(self.cluster, 8080) as clients:
            eventually(lambda: clients.total > 50, 30, "50 answers")
            self.cluster.pods[0].process.signal(9)
            eventually(lambda: clients.failures, what="a failed request")

    def test_a_request_in_flight_outlives_the_deletion_of_its_pod(self):
        self.installed(self.values(0, replicaCount=1))
        pod = self.cluster.pods[0]
        connection = http.client.HTTPConnection(pod.address, 8080, timeout=60)
        connection.request("GET", "/slow/12")
        response = connection.getresponse()
        # Longer than accept_grace: the listener has closed when the body ends.
        deletion = threading.Thread(target=self.cluster.delete, args=([pod],))
        deletion.start()
        self.assertEqual(response.read(), b"a\n")
        deletion.join()
        connection.close()
        self.assert_clean_end([pod])

    def test_the_container_is_confined(self):
        self.installed(self.values(0, replicaCount=1))
        process = pathlib.Path(f"/proc/{self.cluster.pods[0].process.pid}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines()
                      if ":\t" in line)
        self.assertEqual(status["Uid"].split(), ["65532"] * 4)
        self.assertEqual(status["Gid"].split(), ["65532"] * 4)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["NSpid"].split()[-1], "1")
        # As the process sees them, whose root is the image.
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        writable = {fields[4] for fields in mounts if "rw" in fields[5].split(",")}
        self.assertEqual({path for path in writable if not path.startswith(("/proc", "/sys", "/dev"))},
                         {"/var/lib/rproxy"})
        self.assertIn("/", {fields[4] for fields in mounts})

    def test_a_bad_file_changes_nothing_and_a_restart_survives_it(self):
        self.installed(self.values(0, replicaCount=1))
        pod = self.cluster.pods[0]

        def answer():
            return get(pod)[1]
        self.assertEqual(answer(), "a\n")

        self.cluster.apply_config_map("rproxy", {"rproxy.yaml": "backend: [10.88.0.1:8002]\n"})
        eventually(lambda: metric(pod, "rproxy_config_last_reload_successful") == 0,
                   what="the rejection in the metrics")
        self.assertEqual(answer(), "a\n")
        self.assertTrue(pod.ready)
        status, text, _ = get(pod, "/api/v1/config", 9090)
        self.assertEqual(status, 200)
        self.assertIn("backends", json.dumps(json.loads(text)))

        # The node kills the container; its emptyDir keeps the last good file.
        pod.process.signal(9)
        eventually(lambda: pod.restarts == 1, what="the restart")
        eventually(lambda: pod.ready, 20, "the restarted container")
        self.assertEqual(answer(), "a\n")
        self.assertIn('source="last_known_good"', get(pod, "/metrics", 9090)[1])

        self.apply_config(render(self.values(1)))
        eventually(lambda: answer() == "b\n", what="the good file")

    def test_with_no_values_it_is_ready_and_says_that_it_has_no_backends(self):
        self.installed({})
        for pod in self.cluster.pods:
            status, _, reason = get(pod)
            self.assertEqual((status, reason), (503, "no_backends"))

    def test_helm_test_passes_on_what_helm_installed(self):
        pods = render({})["Pod", "rproxy-test"]["spec"]["containers"][0]
        self.installed({})
        pod = self.cluster.pods[0]
        script = pods["args"][0]
        for service, here in (("rproxy.default.svc:80/", f"{pod.address}:8080/"),
                              ("rproxy-metrics.default.svc:9090", f"{pod.address}:9090")):
            self.assertIn(service, script)
            script = script.replace(service, here)
        script = script.replace("/tmp/", f"{self.work.name}/")
        # The applets of the test's own image, and no other program.
        tools = pathlib.Path(self.work.name) / "busybox"
        tools.mkdir()
        for applet in ("sh", "wget", "grep", "timeout"):
            (tools / applet).symlink_to(shutil.which("busybox"))

        def run():
            return subprocess.run([tools / "sh", *pods["command"][1:], script], text=True,
                                  env={"PATH": str(tools)}, capture_output=True, check=False)
        done = run()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("503", done.stdout)
        pod.process.signal(signal.SIGTERM)
        eventually(lambda: not pod.ready)
        self.assertNotEqual(run().returncode, 0, "a draining proxy passed helm test")

    def test_the_sidecar_holds_back_and_serves_the_application(self):
        documents = render({"mode": "sidecar", "config": {"backends": ["127.0.0.1:3000"]}})
        self.apply_config(documents)
        patch = yaml.safe_load(documents["ConfigMap", "rproxy-sidecar"]["data"]["patch.yaml"])
        template = patch["spec"]["template"]
        # The sidecar is all there is of this pod until its startup probe has passed.
        template["spec"]["containers"] = template["spec"].pop("initContainers")
        self.assertEqual(template["spec"]["containers"][0]["restartPolicy"], "Always")
        self.cluster.install({"spec": {"replicas": 1, "template": template}})
        pod = self.cluster.pods[0]
        self.addCleanup(lambda: self.cluster.delete(list(self.cluster.pods)))
        eventually(lambda: self.cluster.endpoints, what="the pod in the Service")
        # Ready without its application: that is what lets the application start.
        status, _, reason = get(pod)
        self.assertEqual((status, reason), (503, "no_healthy_backend"))

        application = Backend("app", 3000, "127.0.0.1", namespace=pod.name)
        self.addCleanup(application.stop)
        eventually(lambda: get(pod)[:2] == (200, "app\n"), what="an answer of the application")

        def end_of_the_application():
            # Its preStop sleep, longer than accept_grace, as docs/kubernetes.md asks for.
            time.sleep(7)
            application.stop()
        pod.until_application_ended = end_of_the_application
        # No client leaves by itself: who still has a connection when the application has gone is lost.
        with load.Load(self.cluster, 8080, leaves=0) as clients:
            eventually(lambda: clients.total > 200, 30, "200 answers")
            self.cluster.delete([pod])
        log(f"sidecar deleted: {clients.total} answers, {len(clients.failures)} failed requests")
        self.assertEqual(clients.failures, [])
        self.assert_clean_end([pod])

    def test_the_upgrade_hook_accepts_a_good_file_and_names_the_mistake_in_a_bad_one(self):
        job = render(self.values(0))["Job", "rproxy-config-check"]
        for text, expected in (("backends: ['10.0.0.1:80']\n", 0), ("bakends: []\n", 1)):
            self.cluster.apply_config_map("rproxy-config-check", {"rproxy.yaml": text})
            status, output = self.cluster.run_to_end(job["spec"]["template"], 30)
            self.assertEqual(status, expected, output)
        self.assertRegex(output, r"rproxy\.yaml:1:1: .*backends")


if __name__ == "__main__":
    unittest.main(verbosity=2)
