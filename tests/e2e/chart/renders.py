"""What the chart tests share: the tools they drive, and the chart's renders as documents.

Environment: RPROXY (the program), HELM, HELM3 and KUBECTL (paths).
"""

import copy
import os
import pathlib
import subprocess
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHART = ROOT / "charts" / "rproxy"
MANIFESTS = ROOT / "manifests"
GOLDEN = HERE / "golden"
RPROXY = os.environ["RPROXY"]
HELM = os.environ["HELM"]
HELM3 = os.environ["HELM3"]
KUBECTL = os.environ["KUBECTL"]

CASES = sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))
OPERATOR = ["--api-versions", "monitoring.coreos.com/v1"]

# What a case asks for that Pod Security "restricted" refuses; everything else must pass.
EXPECTED_VIOLATIONS = {"daemonset": {"rproxy: hostPort"}, "host-network": {"hostNetwork"}}


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False, **options)


def helm(*arguments):
    return run(HELM, *arguments)


def template(*arguments, program=HELM):
    """The documents of `helm template`, release "rproxy" in namespace "web"."""
    result = run(program, "template", "rproxy", CHART, "--namespace", "web", *arguments)
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
