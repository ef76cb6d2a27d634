"""As much of a Kubernetes API as Helm's `lookup` asks for: objects of one namespace, over HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.deploy.chart import NAMESPACE, Object, helm


def resource(name: str, kind: str) -> Object:
    return {
        "name": name,
        "singularName": kind.lower(),
        "namespaced": True,
        "kind": kind,
        "verbs": ["get", "list"],
    }


# What a client asks first: which resources there are.
APPS = {"groupVersion": "apps/v1", "version": "v1"}
RESOURCES: dict[str, Object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "apps", "versions": [APPS], "preferredVersion": APPS}],
    },
    "/version": {"major": "1", "minor": "29", "gitVersion": "v1.29.0"},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            resource("secrets", "Secret"),
            resource("persistentvolumeclaims", "PersistentVolumeClaim"),
        ],
    },
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "groupVersion": "apps/v1",
        "resources": [resource("deployments", "Deployment")],
    },
}
PATHS = {
    "Secret": "/api/v1/{}/secrets",
    "PersistentVolumeClaim": "/api/v1/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/{}/deployments",
}
MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound"}
CONFIGURATION = """\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: test, user: {{}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
"""


@contextmanager
def cluster(objects: Iterable[Object]) -> Iterator[helm.Config]:
    """A cluster that holds the objects of such kinds as are in PATHS."""
    answers = dict(RESOURCES)
    for held in objects:
        if held["kind"] in PATHS:
            path = PATHS[held["kind"]].format(f"namespaces/{NAMESPACE}")
            answers[f"{path}/{held['metadata']['name']}"] = held

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found or {**MISSING, "code": 404}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:
            """Nothing: a test's output is its own."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        configuration = CONFIGURATION.format(port=server.server_port)
        with helm.Config(kubeconfig_content=configuration, namespace=NAMESPACE) as config:
            yield config
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
