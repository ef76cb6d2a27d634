"""As much of a Kubernetes API as Helm's `lookup` asks: Secrets of one namespace, over HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.deploy.chart import NAMESPACE, Object, helm

# What a client asks first: which resources there are.
RESOURCES: dict[str, Object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/version": {"major": "1", "minor": "29", "gitVersion": "v1.29.0"},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": "secrets",
                "singularName": "secret",
                "namespaced": True,
                "kind": "Secret",
                "verbs": ["get", "list"],
            }
        ],
    },
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
    """A cluster that holds the Secrets among objects."""
    secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    answers: dict[str, Object] = {
        **RESOURCES,
        **{f"{secrets}/{o['metadata']['name']}": o for o in objects if o["kind"] == "Secret"},
    }

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
