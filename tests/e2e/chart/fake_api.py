"""A Kubernetes API just large enough for `lookup` of an object in a Helm template."""

import contextlib
import http.server
import json
import threading

# What discovery names, so that Helm can map the kinds it renders.
KINDS = {
    "v1": {"configmaps": "ConfigMap", "services": "Service", "serviceaccounts": "ServiceAccount",
           "pods": "Pod"},
    "apps/v1": {"deployments": "Deployment", "daemonsets": "DaemonSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"jobs": "Job"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}


def version(api):
    return {"groupVersion": api, "version": api.split("/")[1]}


@contextlib.contextmanager
def serving(live):
    """Yields the URL of an API that has this one object."""
    resource = next(name for name, kind in KINDS[live["apiVersion"]].items() if kind == live["kind"])
    live_path = f"/{resource}/{live['metadata']['name']}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            body, status = self.answer(path)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def answer(self, path):
            if path == "/version":
                return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}, 200
            if path == "/api":
                return {"kind": "APIVersions", "versions": ["v1"]}, 200
            if path == "/apis":
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                    {"name": api.split("/")[0], "versions": [version(api)],
                     "preferredVersion": version(api)} for api in KINDS if api != "v1"]}, 200
            api = path.removeprefix("/apis/").removeprefix("/api/")
            if api in KINDS:
                return {"kind": "APIResourceList", "groupVersion": api, "resources": [
                    {"name": name, "namespaced": True, "kind": kind, "verbs": ["get"]}
                    for name, kind in KINDS[api].items()]}, 200
            if path.endswith(live_path):
                return live, 200
            return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                    "code": 404, "message": f"{path} not found"}, 404

        def log_message(self, *_):
            """Requests are not part of the test's output."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
