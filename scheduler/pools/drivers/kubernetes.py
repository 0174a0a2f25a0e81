"""The Kubernetes drivers: nodes are pods, either of a StatefulSet that is scaled or single pods made from a PodTemplate.

With a `statefulset` Kubernetes names the pods and always removes the newest one, so nodes are drained in that order. With a
`podtemplate` (a core/v1 PodTemplate whose pods have restartPolicy Never) any node can be removed, and a pod that has ended
is deleted. The drivers call the API server as the service account of the scheduler's own pod, with the standard library alone.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote, urlencode

from scheduler.pools.drivers.driver import DriverTrouble, Instance, InstanceList, NodeTemplate
from scheduler.rules.cluster.resources import Resources

POOL_LABEL = "ganger.io/pool"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CALL_WITHIN_S = 10.0
_ENDED = {"Succeeded", "Failed"}
KubernetesObject: TypeAlias = dict[str, Any]
"""A JSON document of Kubernetes; its schema is far larger than the few keys that are read here."""

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class KubernetesServer:
    """The API server: its address and namespace, and the files of token and CA (read at each call, because they are renewed)."""

    url: str
    namespace: str
    token_file: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def of_this_pod(cls) -> KubernetesServer:
        """Return the server that the pod's service account belongs to. Raises DriverTrouble outside a cluster."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if host is None or not _ACCOUNT.is_dir():
            raise DriverTrouble("this scheduler runs in no pod with a service account; give the driver a server")
        host = f"[{host}]" if ":" in host else host
        namespace = (_ACCOUNT / "namespace").read_text().strip()
        return cls(f"https://{host}:{port}", namespace, _ACCOUNT / "token", _ACCOUNT / "ca.crt")

    def call(
        self, method: str, path: str, body: object = None, *, patch: str = "merge-patch"
    ) -> KubernetesObject | None:
        """Return the JSON answer, None for 404. Raises DriverTrouble for any other status than 2xx."""
        kind = f"application/{patch}+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(  # noqa: S310 - the operator's own API server
            self.url + path.format(ns=quote(self.namespace)),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": kind, "Accept": "application/json"},
        )
        try:
            if self.token_file is not None:
                request.add_header("Authorization", f"Bearer {self.token_file.read_text().strip()}")
            with urllib.request.urlopen(request, timeout=_CALL_WITHIN_S, context=self._trust()) as answer:  # noqa: S310
                return cast("KubernetesObject", json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code == _NOT_FOUND:
                return None
            raise DriverTrouble(
                f"the Kubernetes API answers {error.code} to {method} {path}: {_said(error)}"
            ) from error
        except (OSError, ValueError) as error:
            raise DriverTrouble(f"the Kubernetes API cannot be reached: {error}") from error

    def _trust(self) -> ssl.SSLContext | None:
        if not self.url.startswith("https:"):
            return None
        return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))


class StatefulSetDriver:
    """The nodes of one pool as replicas of a StatefulSet, whose pods register under their own names."""

    starts = True
    picks = False
    look_every_s = 5.0
    join_within_s = 600.0

    def __init__(self, server: KubernetesServer, name: str, *, template: Resources | None = None) -> None:
        self._server, self._name, self._template = server, name, template

    def start(self, count: int, template: NodeTemplate) -> list[str]:  # noqa: ARG002 - pods are made from the set's template
        """Ask for so many more replicas; the names of the pods follow from their number."""
        before = self._replicas()
        self._scale(before + count)
        return [f"{self._name}-{number}" for number in range(before, before + count)]

    def retire(self, names: Sequence[str]) -> None:
        """Lower the replicas as long as the newest pod is one of these; the other pods wait for a later call."""
        before = after = self._replicas()
        while after > 0 and f"{self._name}-{after - 1}" in names:
            after -= 1
        if after != before:
            self._scale(after)

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Do nothing: Kubernetes restarts containers by itself."""

    def listing(self) -> InstanceList:
        """Return one instance for each wanted replica."""
        return InstanceList(tuple(Instance(f"{self._name}-{number}") for number in range(self._replicas())))

    def template(self) -> Resources | None:
        """Return the amounts that the driver's own settings give a node."""
        return self._template

    @property
    def _path(self) -> str:
        return f"/apis/apps/v1/namespaces/{{ns}}/statefulsets/{quote(self._name)}/scale"

    def _replicas(self) -> int:
        found = self._server.call("GET", self._path)
        if found is None:
            raise DriverTrouble(f"there is no StatefulSet {self._name!r}")
        return int(found.get("spec", {}).get("replicas", 0))

    def _scale(self, replicas: int) -> None:
        self._server.call("PATCH", self._path, {"spec": {"replicas": replicas}})


class PodDriver:
    """The nodes of one pool as single pods made from a PodTemplate."""

    starts = True
    picks = True
    look_every_s = 5.0
    join_within_s = 600.0

    def __init__(
        self, server: KubernetesServer, pool: str, podtemplate: str, *, template: Resources | None = None
    ) -> None:
        self._server, self._pool, self._source, self._template = server, pool, podtemplate, template

    def start(self, count: int, template: NodeTemplate) -> list[str]:  # noqa: ARG002 - pods are made from the PodTemplate
        """Make so many pods."""
        source = self._server.call("GET", f"/api/v1/namespaces/{{ns}}/podtemplates/{quote(self._source)}")
        if source is None:
            raise DriverTrouble(f"there is no PodTemplate {self._source!r}")
        made = [self._pod(source["template"]) for _ in range(count)]
        for pod in made:
            self._server.call("POST", "/api/v1/namespaces/{ns}/pods", pod)
        return [pod["metadata"]["name"] for pod in made]

    def retire(self, names: Sequence[str]) -> None:
        """Delete these pods; ignores pods that are gone already."""
        for name in names:
            self._server.call("DELETE", f"/api/v1/namespaces/{{ns}}/pods/{quote(name)}")

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:  # noqa: ARG002
        """Delete the pods that have ended: their disks are gone with them, so new pods take their place."""
        ended = {instance.name for instance in self.listing().instances if not instance.running}
        self.retire([name for name in names if name in ended])

    def listing(self) -> InstanceList:
        """Return the pods with the pool's label, without pods that are being deleted."""
        query = urlencode({"labelSelector": f"{POOL_LABEL}={self._pool}"})
        found = self._server.call("GET", f"/api/v1/namespaces/{{ns}}/pods?{query}") or {}
        pods = [pod for pod in found.get("items", []) if not pod["metadata"].get("deletionTimestamp")]
        return InstanceList(
            tuple(Instance(p["metadata"]["name"], p.get("status", {}).get("phase") not in _ENDED) for p in pods)
        )

    def template(self) -> Resources | None:
        """Return the amounts that the driver's own settings give a node."""
        return self._template

    def _pod(self, source: KubernetesObject) -> KubernetesObject:
        pod = copy.deepcopy(source)
        metadata = pod.setdefault("metadata", {})
        metadata["name"] = f"{self._source}-{secrets.token_hex(3)}"
        metadata["labels"] = {**(metadata.get("labels") or {}), POOL_LABEL: self._pool}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error).get("message", error.reason))
    except ValueError:
        return str(error.reason)
