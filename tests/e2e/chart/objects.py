"""What the chart tests know about Kubernetes objects: types, Pod Security, templates of pods."""

import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

# apiVersion → module of kubernetes-types; the rest is in custom-resources.d.ts.
MODULES = {"v1": "core/v1", "apps/v1": "apps/v1", "batch/v1": "batch/v1", "policy/v1": "policy/v1",
           "autoscaling/v2": "autoscaling/v2", "networking.k8s.io/v1": "networking/v1"}


def type_of(document):
    module = MODULES.get(document["apiVersion"])
    if module:
        return f'import("kubernetes-types/{module}").{document["kind"]}'
    return f'import("{HERE}/custom-resources").{document["kind"]}'


def type_errors(named_documents, work):
    """What tsc says of documents ({name: document}) as literals of their types.

    A field that the type does not have is an error there, at any depth: this is the check that a
    typing mistake in a template cannot survive and that a server would only warn about.
    """
    work = pathlib.Path(work)
    lines = []
    for name, document in named_documents.items():
        kind = type_of(document) if "kind" in document else document.pop("$type")
        lines.append(f"// {name}\nexport const o{len(lines)}: {kind} = "
                     f"{json.dumps(document)};")
    source = work / "rendered.ts"
    source.write_text("\n".join(lines) + "\n")
    if not (work / "node_modules").exists():
        (work / "node_modules").symlink_to(HERE / "node_modules")
    run = subprocess.run(
        ["node", str(HERE / "node_modules/typescript/bin/tsc"), "--noEmit", "--strict",
         "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler",
         "--pretty", "false", str(source)], capture_output=True, text=True, cwd=work, check=False)
    return run.stdout.strip() + run.stderr.strip()


def pod_specs(document):
    """Every pod spec in a document, with its labels: (labels, spec)."""
    kind = document.get("kind")
    if kind == "Pod":
        return [(document["metadata"].get("labels", {}), document["spec"])]
    if kind in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
        template = document["spec"]["template"]
        return [(template["metadata"].get("labels", {}), template["spec"])]
    return []


def containers(spec):
    return spec.get("initContainers", []) + spec.get("containers", [])


def _pod_level(spec):
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
               "persistentVolumeClaim", "projected", "secret"}
    for volume in spec.get("volumes", []):
        for source in set(volume) - {"name"} - allowed:
            yield f"volume {volume['name']}: {source}"
    for sysctl in spec.get("securityContext", {}).get("sysctls", []):
        yield f"sysctl {sysctl['name']}"


def _container_level(container, pod):
    own = container.get("securityContext", {})
    name = container["name"]

    def effective(key):
        return own.get(key, pod.get(key))

    if own.get("privileged"):
        yield f"{name}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if effective("runAsNonRoot") is not True:
        yield f"{name}: runAsNonRoot"
    if effective("runAsUser") == 0:
        yield f"{name}: runAsUser 0"
    if (effective("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{name}: seccompProfile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name}: capabilities.drop"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities.add"
    if own.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield f"{name}: hostPort"


def restricted_violations(spec):
    """What Pod Security "restricted" refuses in a pod spec (pod-security.kubernetes.io, v1.35)."""
    pod = spec.get("securityContext", {})
    found = list(_pod_level(spec))
    for container in containers(spec):
        found += _container_level(container, pod)
    return found


def hardening_violations(spec):
    """What we ask beyond "restricted": read-only root, no token, a memory limit, no subPath."""
    found = []
    if spec.get("automountServiceAccountToken") is not False:
        found.append("automountServiceAccountToken")
    for container in containers(spec):
        if container["name"] != "rproxy":
            continue
        if container["securityContext"].get("readOnlyRootFilesystem") is not True:
            found.append("readOnlyRootFilesystem")
        for mount in container.get("volumeMounts", []):
            if "subPath" in mount:
                found.append(f"subPath of {mount['name']}")
    return found
