"""Renders over what is live in a cluster already. Run it through hack/test-chart.sh."""

import hashlib
import unittest

import fake_api
from renders import name_of, rendered, template, the


def live_object(api, kind, fields, **content):
    """An object of release "rproxy" as the cluster has it. `fields` are its owners beside Helm, as
    {section: field}, each a `kubectl` of its own."""
    helm = {"manager": "helm", "operation": "Apply",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:helm.sh/chart": {}}}}}
    others = [{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {section: {field: {}}}}
              for section, field in fields.items()]
    return {"apiVersion": api, "kind": kind, "metadata": {
        "name": "rproxy", "namespace": "web", "managedFields": [helm, *others],
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "rproxy",
                        "meta.helm.sh/release-namespace": "web"}}, **content}


def rendered_over(live, *settings):
    """The documents of an upgrade in a cluster that has the object `live`."""
    with fake_api.serving(live) as url:
        return template("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", url,
                        "--no-hooks", "--set", "dashboards.enabled=false", *settings)


class Ownership(unittest.TestCase):
    """What an upgrade does to a ConfigMap that somebody edited (configMap.update)."""

    WRITTEN = "backends:\n- 10.0.0.1:80\n"
    EDITED = "# by hand\nbackends: [10.0.0.7:80]\n"

    NEW = "backends:\n- 10.0.0.2:80\n"

    def upgraded(self, text, *settings, owners=None):
        """data of the ConfigMap that the chart renders over a live text."""
        live = live_object("v1", "ConfigMap", owners or {}, data={"rproxy.yaml": text})
        live["metadata"]["annotations"]["rproxy/config-sha256"] = \
            hashlib.sha256(self.WRITTEN.encode()).hexdigest()
        document = the(rendered_over(live, "--set", "config.backends={10.0.0.2:80}", *settings),
                       "ConfigMap", "rproxy")
        self.metadata = document["metadata"]
        return document["data"]["rproxy.yaml"]

    def test_an_untouched_text_follows_the_values(self):
        self.assertEqual(self.upgraded(self.WRITTEN), self.NEW)

    def test_an_edited_text_is_left_alone_and_stays_known_as_edited(self):
        self.assertEqual(self.upgraded(self.EDITED), self.EDITED)
        self.assertEqual(self.metadata["annotations"]["rproxy/config-sha256"],
                         hashlib.sha256(self.WRITTEN.encode()).hexdigest())

    def test_a_text_that_was_edited_and_changed_back_still_has_another_owner(self):
        """Writing it would be a conflict, though it is what Helm wrote."""
        owners = {"f:data": "f:rproxy.yaml"}
        self.assertEqual(self.upgraded(self.WRITTEN, owners=owners), self.WRITTEN)
        other = {"f:metadata": "f:annotations"}
        self.assertEqual(self.upgraded(self.WRITTEN, owners=other), self.NEW)

    def test_always_takes_the_text_back(self):
        self.assertEqual(self.upgraded(self.EDITED, "--set", "configMap.update=always"), self.NEW)

    def test_never_leaves_even_an_untouched_text_alone(self):
        self.assertEqual(self.upgraded(self.WRITTEN, "--set", "configMap.update=never"), self.WRITTEN)

    def test_an_existing_config_map_is_neither_written_nor_checked(self):
        names = {name_of(d) for d in rendered("existing-configmap")}
        self.assertFalse({name for name in names if name.startswith(("ConfigMap/edge-config",
                                                                     "Job/"))})
        volumes = the(rendered("existing-configmap"), "Deployment")["spec"]["template"]["spec"][
            "volumes"]
        self.assertIn({"name": "rproxy-config", "configMap": {"name": "edge-config"}}, volumes)

    def test_the_mark_is_the_hash_of_the_text(self):
        document = the(template("--set", "dashboards.enabled=false", "--no-hooks"), "ConfigMap")
        self.assertEqual(document["metadata"]["annotations"]["rproxy/config-sha256"],
                         hashlib.sha256(document["data"]["rproxy.yaml"].encode()).hexdigest())


class Replicas(unittest.TestCase):
    """How many pods an upgrade asks for while autoscaling is on: leaving the number out gives 1 as
    long as Helm is the only one who ever asked for any."""

    AUTOSCALING = ("--set", "autoscaling.enabled=true")

    def replicas(self, owners, *settings):
        live = live_object("apps/v1", "Deployment", owners, spec={"replicas": 7})
        return the(rendered_over(live, *settings), "Deployment")["spec"].get("replicas")

    def test_the_first_upgrade_with_an_autoscaler_keeps_the_live_number(self):
        self.assertEqual(self.replicas({}, *self.AUTOSCALING), 7)

    def test_later_ones_leave_it_to_the_autoscaler(self):
        owners = {"f:spec": "f:replicas"}
        self.assertIsNone(self.replicas(owners, *self.AUTOSCALING))

    def test_without_an_autoscaler_it_is_the_number_of_the_values(self):
        self.assertEqual(self.replicas({}), 2)
