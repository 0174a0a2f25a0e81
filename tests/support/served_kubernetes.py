"""A stand-in for a Kubernetes API server, made from its documentation: NOT Kubernetes, and no proof that a cluster agrees.

It serves what the driver uses: the scale subresource of one StatefulSet, one PodTemplate, and pods of a namespace. It checks
token, content types and resource names, and answers errors as Status objects.

    with served_kubernetes() as cluster:
        cluster.url, cluster.pods, cluster.replicas, cluster.token
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SET = "/apis/apps/v1/namespaces/jobs/statefulsets/ganger-worker/scale"
PODS = "/api/v1/namespaces/jobs/pods"
SOURCE = "/api/v1/namespaces/jobs/podtemplates/ganger-node"


@dataclass
class Cluster:
    """What the server keeps."""

    url: str = ""
    token: str = "service-account-token"
    replicas: int = 0
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False


@contextmanager
def served_kubernetes() -> Iterator[Cluster]:
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_PATCH(self) -> None:
            self._serve("PATCH")

        def do_DELETE(self) -> None:
            self._serve("DELETE")

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self, method: str) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            code, answer = answer_to(cluster, method, self.path, self.headers, body)
            raw = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    return Handler


def answer_to(cluster: Cluster, method: str, target: str, headers: Any, body: Any) -> tuple[int, Any]:
    url = urlsplit(target)
    cluster.seen.append((method, url.path))
    code = 503 if cluster.broken else 200 if headers.get("Authorization") == f"Bearer {cluster.token}" else 401
    if code != 200:
        return code, _status(code, "Unauthorized" if code == 401 else "etcd is away")
    if url.path == SET:
        return _scale(cluster, method, headers, body)
    if url.path == SOURCE and method == "GET":
        return 200, {"kind": "PodTemplate", "template": TEMPLATE}
    if url.path == PODS:
        found = {"kind": "PodList", "items": _selected(cluster, url.query)}
        return _create(cluster, body) if method == "POST" else (200, found)
    name = url.path.removeprefix(f"{PODS}/")
    if method == "DELETE" and name in cluster.pods:
        return 200, cluster.pods.pop(name)
    return 404, _status(404, f"{target} not found")


TEMPLATE = {
    "metadata": {"labels": {"app": "ganger"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "worker", "image": "ganger:test"}]},
}


def _scale(cluster: Cluster, method: str, headers: Any, body: Any) -> tuple[int, Any]:
    if method == "PATCH":
        if headers.get("Content-Type") != "application/merge-patch+json":
            return 415, _status(415, "the body of the request was in an unknown format")
        cluster.replicas = body["spec"]["replicas"]
    return 200, {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": cluster.replicas}}


def _create(cluster: Cluster, pod: dict[str, Any]) -> tuple[int, Any]:
    name = pod["metadata"]["name"]
    if pod.get("apiVersion") != "v1" or pod.get("kind") != "Pod" or not pod["spec"]["containers"]:
        return 400, _status(400, "the object is no Pod")
    if name in cluster.pods:
        return 409, _status(409, f"pods {name!r} already exists")
    cluster.pods[name] = {**pod, "status": {"phase": "Running"}}
    return 201, cluster.pods[name]


def _selected(cluster: Cluster, query: str) -> list[Any]:
    label, _, value = parse_qs(query).get("labelSelector", ["="])[0].partition("=")
    return [pod for pod in cluster.pods.values() if pod["metadata"]["labels"].get(label) == value]


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
