#!/usr/bin/env python3
"""The chart and the manifests against real tools. Run it through hack/test-chart.sh.

Environment: RPROXY (the program), HELM and KUBECTL (paths). UPDATE_GOLDEN=1 writes golden/ anew.
"""

import copy
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import fake_api
import objects

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHART = ROOT / "charts" / "rproxy"
MANIFESTS = ROOT / "manifests"
GOLDEN = HERE / "golden"
RPROXY = os.environ["RPROXY"]
HELM = os.environ["HELM"]
KUBECTL = os.environ["KUBECTL"]

CASES = sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))
OPERATOR = ["--api-versions", "monitoring.coreos.com/v1"]

# What a case asks for that Pod Security "restricted" refuses; everything else must pass.
EXPECTED_VIOLATIONS = {"daemonset": {"rproxy: hostPort"}}


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False, **options)


def helm(*arguments):
    return run(HELM, *arguments)


def template(*arguments):
    """The documents of `helm template`, release "rproxy" in namespace "web"."""
    result = helm("template", "rproxy", CHART, "--namespace", "web", *arguments)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return [document for document in yaml.safe_load_all(result.stdout) if document]


_rendered = {}


def rendered(case):
    """The documents of one file of ci/, as in a cluster with the Prometheus operator."""
    if case not in _rendered:
        _rendered[case] = template("-f", CHART / "ci" / f"{case}-values.yaml", *OPERATOR)
    return copy.deepcopy(_rendered[case])


def refused(*arguments):
    """What helm says when it refuses to render."""
    result = helm("template", "rproxy", CHART, *arguments)
    return result.stderr if result.returncode != 0 else ""


def the(documents, kind, suffix=""):
    """The one document of a kind whose name ends so (or has no such suffix, if several)."""
    found = [d for d in documents if d["kind"] == kind and d["metadata"]["name"].endswith(suffix)]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} documents of kind {kind} ending in {suffix!r}")
    return found[0]


def name_of(document):
    return f"{document['kind']}/{document['metadata']['name']}"


def sidecar_patch(documents):
    return yaml.safe_load(the(documents, "ConfigMap", "-sidecar")["data"]["patch.yaml"])


def check_config(text):
    """`rproxy check` on a text: (exit status, output)."""
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "rproxy.yaml"
        path.write_text(text)
        result = run(RPROXY, "check", path)
        return result.returncode, result.stdout + result.stderr


def kustomize(folder):
    result = run(KUBECTL, "kustomize", folder)
    if result.returncode != 0:
        raise AssertionError(f"{folder}: {result.stderr}")
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def kustomizations():
    return sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))


class Lint(unittest.TestCase):
    def test_every_case_passes_strict_lint(self):
        for case in CASES:
            result = helm("lint", "--strict", CHART, "-f", CHART / "ci" / f"{case}-values.yaml")
            self.assertEqual(result.returncode, 0, f"{case}: {result.stdout}{result.stderr}")

    def test_schema_and_readme_are_generated_from_values(self):
        result = run(ROOT / "hack/update-chart-schema.sh", "--check",
                     env={**os.environ, "RPROXY": RPROXY})
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_package_holds_dashboards_and_alerts_but_no_test_inputs(self):
        with tempfile.TemporaryDirectory() as work:
            result = helm("package", CHART, "--destination", work)
            self.assertEqual(result.returncode, 0, result.stderr)
            archive = next(pathlib.Path(work).glob("*.tgz"))
            names = run("tar", "-tzf", archive).stdout.split()
        for path in [*CHART.glob("dashboards/*.json"), *CHART.glob("alerts/*.yaml")]:
            self.assertIn(f"rproxy/{path.relative_to(CHART)}", names)
        self.assertFalse([name for name in names if "/ci/" in name or name.endswith(".in")])


class Schema(unittest.TestCase):
    def test_unknown_keys_are_refused_at_every_depth(self):
        for setting in ("replicaCountt=3", "image.tags=x", "probes.startup.period=1",
                        "ports.http.containerports=1", "configMap.updates=always"):
            self.assertIn("not allowed", refused("--set", setting), setting)

    def test_wrong_words_and_types_are_refused(self):
        for setting in ("mode=gateway", "kind=StatefulSet", "configMap.update=sometimes",
                        "replicaCount=two", "ports.http.containerPort=80",
                        "image.digest=latest", "serviceMonitor.enabled=maybe"):
            self.assertIn("don't meet the specifications", refused("--set", setting), setting)

    def test_config_is_checked_by_the_schema_of_the_program(self):
        self.assertIn("not allowed", refused("--set", "config.backend=10.0.0.1:80"))
        self.assertIn("don't meet", refused("--set", "config.method=fastest"))

    def test_global_values_of_an_umbrella_chart_are_allowed(self):
        self.assertEqual(refused("--set", "global.somethingElse=1"), "")


class Types(unittest.TestCase):
    def test_every_object_of_every_case_has_only_known_fields(self):
        documents = {}
        for case in CASES:
            for document in rendered(case):
                documents[f"{case} {name_of(document)}"] = document
        for folder in kustomizations():
            for document in kustomize(folder):
                documents[f"{folder.name} {name_of(document)}"] = document
        patch = sidecar_patch(rendered("sidecar"))["spec"]["template"]
        # A patch has the containers of its target, not its own; the type wants the field.
        patch["spec"]["containers"] = []
        documents["sidecar patch"] = {
            "$type": 'import("kubernetes-types/core/v1").PodTemplateSpec', **patch}
        with tempfile.TemporaryDirectory() as work:
            self.assertEqual(objects.type_errors(documents, work), "")

    def test_an_unknown_field_deep_inside_is_an_error(self):
        deployment = the(rendered("default"), "Deployment")
        deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
        with tempfile.TemporaryDirectory() as work:
            self.assertIn("readinesProbe", objects.type_errors({"d": deployment}, work))


class Security(unittest.TestCase):
    def test_every_pod_passes_restricted(self):
        for case in CASES:
            for document in rendered(case):
                for _, spec in objects.pod_specs(document):
                    if document["kind"] in ("Deployment", "DaemonSet"):
                        expected = EXPECTED_VIOLATIONS.get(case, set())
                    else:
                        expected = set()
                    self.assertEqual(set(objects.restricted_violations(spec)), expected,
                                     f"{case} {name_of(document)}")
                    self.assertEqual(objects.hardening_violations(spec), [],
                                     f"{case} {name_of(document)}")

    def test_the_sidecar_alone_passes_restricted(self):
        spec = sidecar_patch(rendered("sidecar"))["spec"]["template"]["spec"]
        self.assertEqual(objects.restricted_violations(spec), [])

    def test_the_check_finds_what_it_should(self):
        spec = the(rendered("default"), "Deployment")["spec"]["template"]["spec"]
        spec["hostNetwork"] = True
        spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
        own = spec["containers"][0]["securityContext"]
        own["capabilities"] = {"add": ["NET_ADMIN"]}
        own["allowPrivilegeEscalation"] = True
        own["seccompProfile"] = {"type": "Unconfined"}
        self.assertEqual(set(objects.restricted_violations(spec)), {
            "hostNetwork", "volume host: hostPath", "rproxy: capabilities.drop",
            "rproxy: capabilities.add", "rproxy: allowPrivilegeEscalation",
            "rproxy: seccompProfile"})

    def test_the_admin_port_is_open_to_scrapers_and_the_test_pod_only(self):
        policy = the(rendered("default"), "NetworkPolicy")
        admin = [rule for rule in policy["spec"]["ingress"]
                 if rule["ports"] == [{"port": "admin", "protocol": "TCP"}]]
        self.assertEqual(len(admin), 1)
        self.assertEqual(len(admin[0]["from"]), 2)
        traffic = [rule for rule in policy["spec"]["ingress"] if rule not in admin]
        self.assertEqual(traffic, [{"ports": [{"port": "http", "protocol": "TCP"}]}])


class Wiring(unittest.TestCase):
    """Names that must agree across objects."""

    def test_services_select_proxy_pods_and_no_others(self):
        for case in CASES:
            documents = rendered(case)
            pods = [(name_of(d), labels, spec) for d in documents
                    for labels, spec in objects.pod_specs(d)]
            for service in (d for d in documents if d["kind"] == "Service"):
                selector = service["spec"]["selector"].items()
                selected = [(name, spec) for name, labels, spec in pods if selector <= labels.items()]
                self.assertEqual([name.split("/")[0] for name, _ in selected
                                  if name.split("/")[0] not in ("Deployment", "DaemonSet")], [])
                self.assertEqual(len(selected), 1, f"{case} {name_of(service)}")
                ports = {port["name"] for port in selected[0][1]["containers"][0]["ports"]}
                for port in service["spec"]["ports"]:
                    self.assertIn(port["targetPort"], ports)

    def test_service_monitor_finds_the_metrics_service(self):
        documents = rendered("default")
        wanted = the(documents, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
        found = [d for d in documents if d["kind"] == "Service"
                 and wanted <= d["metadata"]["labels"].items()]
        self.assertEqual([d["metadata"]["name"] for d in found], ["rproxy-metrics"])

    def test_monitoring_kinds_need_the_operator_unless_asked_for(self):
        kinds = {d["kind"] for d in template()}
        self.assertFalse(kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule"})
        asked = {d["kind"] for d in template("--set", "serviceMonitor.enabled=true")}
        self.assertIn("ServiceMonitor", asked)

    def test_every_dashboard_becomes_a_config_map_unchanged(self):
        shown = {}
        for document in rendered("default"):
            if document["metadata"]["labels"].get("grafana_dashboard") == "1":
                shown.update(document["data"])
        files = {path.name: json.loads(path.read_text()) for path in CHART.glob("dashboards/*.json")}
        self.assertTrue(files, "the chart has no dashboards")
        self.assertEqual({name: json.loads(text) for name, text in shown.items()}, files)

    def test_autoscaling_leaves_the_replica_count_alone(self):
        for case in ("full", "gateway"):
            self.assertNotIn("replicas", the(rendered(case), "Deployment")["spec"], case)

    def test_one_pod_has_no_disruption_budget(self):
        kinds = {d["kind"] for d in template("--set", "replicaCount=1")}
        self.assertNotIn("PodDisruptionBudget", kinds)

    def test_a_config_change_rolls_no_pod_unless_asked_to(self):
        def pod(*arguments):
            return the(template(*arguments), "Deployment")["spec"]["template"]
        one, two = "config.backends={10.0.0.1:80}", "config.backends={10.0.0.2:80}"
        self.assertEqual(pod("--set", one), pod("--set", two))
        roll = ("--set", "rollOnConfigChange=true", "--set")
        self.assertNotEqual(pod(*roll, one), pod(*roll, two))

    def test_a_digest_beats_a_tag_and_a_global_registry_the_own(self):
        image = the(template("--set", "global.imageRegistry=r.example", "--set",
                             "image.registry=other,image.tag=t,image.digest=sha256:" + "0" * 64),
                    "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
        self.assertEqual(image, "r.example/rproxy@sha256:" + "0" * 64)

    def test_workers_follow_the_cpu_limit_and_else_are_two(self):
        def arguments(*settings):
            spec = the(template(*settings), "Deployment")["spec"]["template"]["spec"]
            return spec["containers"][0]["args"]
        self.assertIn("--workers", arguments())
        self.assertNotIn("--workers", arguments("--set", "resources.limits.cpu=2"))


class Grace(unittest.TestCase):
    def seconds(self, *settings):
        return the(template(*settings), "Deployment")["spec"]["template"]["spec"][
            "terminationGracePeriodSeconds"]

    def test_it_is_the_drain_time_and_a_margin(self):
        self.assertEqual(self.seconds(), 5 + 30 + 5)
        self.assertEqual(self.seconds("--set", "config.drain.accept_grace=1500ms",
                                      "--set", "config.drain.timeout=1m30s"), 92 + 5)
        self.assertEqual(self.seconds("--set", "config.drain.accept_grace=0",
                                      "--set", "config.drain.timeout=0.5m"), 30 + 5)

    def test_too_little_fails_the_render(self):
        self.assertIn("requests would be cut", refused("--set", "terminationGracePeriodSeconds=39"))
        self.assertEqual(refused("--set", "terminationGracePeriodSeconds=40"), "")

    def test_kubernetes_default_is_too_little_for_ours(self):
        self.assertGreater(self.seconds(), 30)


class Refusals(unittest.TestCase):
    def test_values_that_cannot_work_fail_the_render(self):
        table = {
            "exclude each other": ["autoscaling.enabled=true", "keda.enabled=true"],
            "one pod per node": ["kind=DaemonSet", "autoscaling.enabled=true"],
            "triggers is empty": ["keda.enabled=true"],
            "parentRefs is empty": ["httpRoute.enabled=true"],
            "tests.port is": ["ports.http=null", "ports.web.containerPort=8080"],
            "ingress.servicePort is": ["ingress.enabled=true", "ingress.servicePort=https"],
            "no listener of config has that port": ["ports.http.containerPort=8081"],
            "`ports` does not": ["config.listeners[0].address=0.0.0.0:8080",
                                 "config.listeners[1].address=0.0.0.0:8443"],
        }
        for message, settings in table.items():
            arguments = [part for setting in settings for part in ("--set", setting)]
            self.assertIn(message, refused(*arguments))

    def test_a_sidecar_needs_native_sidecars(self):
        self.assertIn("native sidecars",
                      refused("--set", "mode=sidecar", "--kube-version", "1.28.0"))


class Configuration(unittest.TestCase):
    def test_every_rendered_configuration_is_accepted_by_the_program(self):
        for case in CASES:
            for document in rendered(case):
                text = document.get("data", {}).get("rproxy.yaml") \
                    if document["kind"] == "ConfigMap" else None
                if text is not None:
                    status, output = check_config(text)
                    self.assertEqual(status, 0, f"{case} {name_of(document)}: {output}")

    def test_the_check_job_reads_the_very_text_that_is_installed(self):
        documents = rendered("backends")
        installed = the([d for d in documents if not d["metadata"]["name"].endswith("check")],
                        "ConfigMap", "rproxy")
        candidate = the(documents, "ConfigMap", "-config-check")
        self.assertEqual(candidate["data"], installed["data"])

    def test_numbers_and_words_survive_the_way_through_values(self):
        text = the(rendered("full"), "ConfigMap", "edge-proxy")["data"]["rproxy.yaml"]
        config = yaml.safe_load(text)
        self.assertEqual(config["limits"]["connections"], 1000000)
        self.assertIn("connections: 1000000\n", text)
        # PyYAML would read the key as a boolean, so look at the text.
        self.assertRegex(text, r'\n +"on":\n +- connect_failure\n +- reset\n +- "503"\n')
        self.assertEqual(config["listeners"][1]["tls"]["min_version"], "1.2")


class Ownership(unittest.TestCase):
    """What an upgrade does to a ConfigMap that somebody edited (configMap.update)."""

    WRITTEN = "backends:\n- 10.0.0.1:80\n"
    EDITED = "# by hand\nbackends: [10.0.0.7:80]\n"

    def upgraded(self, live, *settings):
        """data of the ConfigMap that the chart renders over a live text."""
        sha = hashlib.sha256(self.WRITTEN.encode()).hexdigest()
        live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "rproxy", "namespace": "web",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"rproxy/config-sha256": sha, "meta.helm.sh/release-name": "rproxy",
                            "meta.helm.sh/release-namespace": "web"}},
                "data": {"rproxy.yaml": live}}
        with fake_api.serving(live) as url:
            documents = template("--dry-run=server", "--disable-openapi-validation",
                                 "--kube-apiserver", url, "--no-hooks",
                                 "--set", "config.backends={10.0.0.2:80}", *settings)
        self.metadata = the(documents, "ConfigMap", "rproxy")["metadata"]
        return the(documents, "ConfigMap", "rproxy")["data"]["rproxy.yaml"]

    NEW = "backends:\n- 10.0.0.2:80\n"

    def setUp(self):
        self.without_dashboards = ("--set", "dashboards.enabled=false")

    def test_an_untouched_text_follows_the_values(self):
        self.assertEqual(self.upgraded(self.WRITTEN, *self.without_dashboards), self.NEW)

    def test_an_edited_text_is_left_alone_and_stays_known_as_edited(self):
        self.assertEqual(self.upgraded(self.EDITED, *self.without_dashboards), self.EDITED)
        self.assertEqual(self.metadata["annotations"]["rproxy/config-sha256"],
                         hashlib.sha256(self.WRITTEN.encode()).hexdigest())

    def test_always_takes_the_text_back(self):
        self.assertEqual(self.upgraded(self.EDITED, *self.without_dashboards,
                                       "--set", "configMap.update=always"), self.NEW)

    def test_never_leaves_even_an_untouched_text_alone(self):
        self.assertEqual(self.upgraded(self.WRITTEN, *self.without_dashboards,
                                       "--set", "configMap.update=never"), self.WRITTEN)

    def test_an_existing_config_map_is_neither_written_nor_checked(self):
        names = {name_of(d) for d in rendered("existing-configmap")}
        self.assertFalse({name for name in names if name.startswith(("ConfigMap/edge-config",
                                                                     "Job/"))})
        volumes = the(rendered("existing-configmap"), "Deployment")["spec"]["template"]["spec"][
            "volumes"]
        self.assertIn({"name": "config", "configMap": {"name": "edge-config"}}, volumes)

    def test_the_mark_is_the_hash_of_the_text(self):
        document = the(template("--set", "dashboards.enabled=false", "--no-hooks"), "ConfigMap")
        self.assertEqual(document["metadata"]["annotations"]["rproxy/config-sha256"],
                         hashlib.sha256(document["data"]["rproxy.yaml"].encode()).hexdigest())


class Alerts(unittest.TestCase):
    def promtool(self, groups):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": groups}, file)
            file.flush()
            return run("promtool", "check", "rules", file.name)

    def test_promtool_accepts_the_rendered_rules(self):
        self.assertTrue(list(CHART.glob("alerts/*.yaml")), "the chart has no alerts")
        for case in ("default", "full", "sidecar"):
            groups = the(rendered(case), "PrometheusRule")["spec"]["groups"]
            result = self.promtool(groups)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_no_rule_is_lost_between_file_and_object(self):
        def names(groups):
            return sorted(rule.get("alert") or rule["record"]
                          for group in groups for rule in group["rules"])
        files = [group for path in sorted(CHART.glob("alerts/*.yaml"))
                 for group in yaml.safe_load(path.read_text())["groups"]]
        self.assertEqual(names(the(rendered("default"), "PrometheusRule")["spec"]["groups"]),
                         names(files))

    def test_an_alert_can_be_left_out(self):
        documents = template("--set", "prometheusRule.enabled=true",
                             "--set", "prometheusRule.without={RproxyBackendDown}")
        text = json.dumps(the(documents, "PrometheusRule"))
        self.assertNotIn('"RproxyBackendDown"', text)
        self.assertIn('"RproxyPoolAllDown"', text)


class Golden(unittest.TestCase):
    def test_renders_are_as_reviewed(self):
        for case in CASES:
            wanted = GOLDEN / f"{case}.yaml"
            documents = [self.without_files(d) for d in rendered(case)]
            text = "---\n".join(yaml.safe_dump(d, sort_keys=True, width=100) for d in documents)
            if os.environ.get("UPDATE_GOLDEN"):
                wanted.write_text(text)
            self.assertTrue(wanted.exists(), f"{wanted} is missing; run with UPDATE_GOLDEN=1")
            self.assertEqual(wanted.read_text(), text, f"{case}: UPDATE_GOLDEN=1 and review")
        self.assertEqual(sorted(path.stem for path in GOLDEN.glob("*.yaml")), CASES)

    @staticmethod
    def without_files(document):
        """Dashboards and alerts are reviewed where they are written."""
        if document["kind"] == "PrometheusRule":
            document["spec"]["groups"] = "(the files in alerts/ and additionalGroups)"
        elif document["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "dashboard":
            document["data"] = {name: "(the file in dashboards/)" for name in document["data"]}
        return document


class Manifests(unittest.TestCase):
    def test_every_folder_builds_and_every_example_has_a_readme(self):
        folders = kustomizations()
        self.assertGreaterEqual(len(folders), 7)
        for folder in folders:
            self.assertTrue(kustomize(folder), folder)
            if folder.name != "base":
                self.assertTrue((folder / "README.md").exists(), f"{folder} has no README.md")

    def test_every_pod_passes_restricted(self):
        for folder in kustomizations():
            for document in kustomize(folder):
                for _, spec in objects.pod_specs(document):
                    self.assertEqual(objects.restricted_violations(spec), [], folder)
                    self.assertEqual(objects.hardening_violations(spec), [], folder)

    def test_every_configuration_is_accepted_by_the_program(self):
        found = 0
        for folder in kustomizations():
            for document in kustomize(folder):
                for name, text in (document.get("data") or {}).items():
                    if document["kind"] == "ConfigMap" and name == "rproxy.yaml":
                        found += 1
                        status, output = check_config(text)
                        self.assertEqual(status, 0, f"{folder}: {output}")
        self.assertGreaterEqual(found, 7)

    def test_the_base_runs_what_the_chart_runs(self):
        ours = the(kustomize(MANIFESTS / "base"), "Deployment")["spec"]["template"]["spec"]
        chart = the(template(), "Deployment")["spec"]["template"]["spec"]
        for key in ("terminationGracePeriodSeconds", "securityContext", "volumes"):
            self.assertEqual(ours[key], chart[key], key)
        one, two = ours["containers"][0], chart["containers"][0]
        for key in ("command", "args", "startupProbe", "readinessProbe", "livenessProbe",
                    "lifecycle", "securityContext", "volumeMounts", "resources", "ports"):
            self.assertEqual(one.get(key), two.get(key), key)


class Docs(unittest.TestCase):
    """Every YAML block of docs/kubernetes.md is what it says it is in its first comment."""

    BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)

    def test_yaml_blocks_are_values_or_configuration_that_work(self):
        page = (ROOT / "docs/kubernetes.md").read_text()
        blocks = self.BLOCK.findall(page)
        self.assertGreater(len(blocks), 5)
        for block in blocks:
            first = block.split("\n", 1)[0]
            if first.startswith("# values"):
                with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                    file.write(block)
                    file.flush()
                    documents = template("-f", file.name)
                texts = [d["data"]["rproxy.yaml"] for d in documents
                         if d["kind"] == "ConfigMap" and "rproxy.yaml" in d.get("data", {})]
            elif first.startswith("# rproxy.yaml"):
                texts = [block]
            else:
                self.assertTrue(first.startswith("# object"), f"what is this block? {block}")
                document = yaml.safe_load(block)
                self.assertIn("kind", document)
                texts = [text for name, text in (document.get("data") or {}).items()
                         if name == "rproxy.yaml"]
            for text in texts:
                status, output = check_config(text)
                self.assertEqual(status, 0, f"{block}\n{output}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
