"""What single values of the chart do. Run it through hack/test-chart.sh."""

import json
import unittest

import objects
from renders import CASES, CHART, name_of, refused, rendered, template, the


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

    def test_a_daemon_set_has_no_disruption_budget(self):
        """It has no scale subresource, so a budget would count no pods and allow no eviction."""
        kinds = {d["kind"] for d in rendered("daemonset")}
        self.assertIn("DaemonSet", kinds)
        self.assertNotIn("PodDisruptionBudget", kinds)

    def test_labels_of_the_user_win_but_not_over_what_selectors_look_for(self):
        name, part = "app\\.kubernetes\\.io/name", "app\\.kubernetes\\.io/part-of"
        for where in ("commonLabels", "podLabels"):
            workload = the(template("--set", f"{where}.{name}=shop", "--set", f"{where}.{part}=shop"),
                           "Deployment")["spec"]
            labels = workload["template"]["metadata"]["labels"]
            self.assertLessEqual(workload["selector"]["matchLabels"].items(), labels.items(), where)
            self.assertEqual(labels["app.kubernetes.io/part-of"], "shop", where)

    def test_on_the_network_of_the_node_cluster_names_still_resolve(self):
        def policy(*settings):
            return the(template("--set", "hostNetwork=true", *settings),
                       "Deployment")["spec"]["template"]["spec"]["dnsPolicy"]
        self.assertEqual(policy(), "ClusterFirstWithHostNet")
        self.assertEqual(policy("--set", "dnsPolicy=Default"), "Default")

    def test_the_commands_of_the_probes_reach_the_admin_port(self):
        for host, inside in (("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]"), ("127.0.0.1", "127.0.0.1")):
            container = the(template("--set-string", f"admin.host={host}"), "Deployment")[
                "spec"]["template"]["spec"]["containers"][0]
            self.assertIn(f"{host}:9090", container["args"])
            commands = [container[probe]["exec"]["command"]
                        for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
            commands.append(container["lifecycle"]["preStop"]["exec"]["command"])
            self.assertEqual([command[-1] for command in commands], [f"{inside}:9090"] * 4)

    def test_a_secret_named_like_a_host_is_mounted(self):
        spec = the(rendered("tls"), "Deployment")["spec"]["template"]["spec"]
        mount = [m for m in spec["containers"][0]["volumeMounts"]
                 if m["mountPath"] == "/certs/shop.example.com"]
        self.assertRegex(mount[0]["name"], "^[a-z0-9-]{1,63}$")
        volume = next(v for v in spec["volumes"] if v["name"] == mount[0]["name"])
        self.assertEqual(volume["secret"], {"secretName": "shop.example.com", "defaultMode": 0o440})

    def test_helm_test_speaks_tls_where_nothing_else_is_spoken(self):
        def script(documents):
            return the(documents, "Pod")["spec"]["containers"][0]["args"][0]
        self.assertIn("proxy=https://rproxy.web.svc:443/", script(rendered("tls")))
        self.assertIn("wget --no-check-certificate", script(rendered("tls")))
        # "full" has both ports.
        self.assertIn("proxy=http://edge-proxy.edge.svc:80/", script(rendered("full")))

    def test_the_test_pod_comes_from_where_the_proxy_comes_from(self):
        pod = the(template("--set", "global.imageRegistry=r.example", "--set",
                           "global.imagePullSecrets={one},image.pullSecrets[0].name=two"), "Pod")
        self.assertEqual(pod["spec"]["containers"][0]["image"], "r.example/busybox:1.37")
        self.assertEqual(pod["spec"]["imagePullSecrets"], [{"name": "one"}, {"name": "two"}])
        own = the(template("--set", "global.imageRegistry=r.example", "--set",
                           "tests.image=ghcr.io/busybox:1"), "Pod")
        self.assertEqual(own["spec"]["containers"][0]["image"], "ghcr.io/busybox:1")

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
            "tests.port is": ["tests.port=https"],
            "more than maxReplicas": ["autoscaling.enabled=true", "autoscaling.minReplicas=11"],
            "needs metrics.service": ["serviceMonitor.enabled=true", "metrics.service.enabled=false"],
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
