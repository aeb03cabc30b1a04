"""The chart and the manifests against real tools. Run it through hack/test-chart.sh.

UPDATE_GOLDEN=1 writes golden/ anew.
"""

import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

import yaml

import objects
from renders import (CASES, CHART, EXPECTED_VIOLATIONS, GOLDEN, HELM3, MANIFESTS, OPERATOR, ROOT,
                     RPROXY, check_config, helm, kustomizations, kustomize, name_of, refused, rendered, run,
                     sidecar_patch, template, the)


class Lint(unittest.TestCase):
    def test_every_case_passes_strict_lint(self):
        for case in CASES:
            result = helm("lint", "--strict", CHART, "-f", CHART / "ci" / f"{case}-values.yaml")
            self.assertEqual(result.returncode, 0, f"{case}: {result.stdout}{result.stderr}")

    def test_helm_3_renders_the_same(self):
        for case in CASES:
            values = CHART / "ci" / f"{case}-values.yaml"
            self.assertEqual(run(HELM3, "lint", "--strict", CHART, "-f", values).returncode, 0, case)
            documents = template("-f", values, *OPERATOR, program=HELM3)
            others = {name_of(d): d for d in rendered(case)}
            for document in documents:
                self.assertEqual(document, others.pop(name_of(document)), case)
            self.assertEqual(list(others), [], case)

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

    def test_the_sidecar_clobbers_no_volume_of_the_application(self):
        """The patch is merged by name, and "config" is what half of all applications call theirs."""
        spec = sidecar_patch(rendered("sidecar"))["spec"]["template"]["spec"]
        names = [volume["name"] for volume in spec["volumes"]]
        self.assertEqual([name for name in names if not name.startswith("rproxy-")], [])
        self.assertNotIn("terminationGracePeriodSeconds", spec)

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

    def test_the_kustomization_that_the_readme_shows_builds(self):
        readme = (MANIFESTS / "README.md").read_text()
        block = re.search(r"^```\n# kustomization.yaml\n(.*?)^```$", readme, re.M | re.S)[1]
        with tempfile.TemporaryDirectory() as work:
            folder = pathlib.Path(work)
            shutil.copytree(MANIFESTS, folder / "manifests")
            (folder / "kustomization.yaml").write_text(block)
            (folder / "rproxy.yaml").write_text("backends: [10.0.0.1:80]\n")
            documents = kustomize(folder)
        self.assertEqual(the(documents, "ConfigMap")["data"]["rproxy.yaml"],
                         "backends: [10.0.0.1:80]\n")
        image = the(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
        self.assertEqual(image, "registry.example.com/infra/rproxy:0.1.0")

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
