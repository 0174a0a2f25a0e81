"""A node made of nothing but HTTP calls: it claims what is placed on it, and says or keeps silent what a test wants."""

from __future__ import annotations

import time
from typing import Any

import httpx2

from tests.support.installation import Installation

CLAIM_TOKEN = "a-token-of-sixteen-or-more"


class Puppet:
    """Registers in a pool of its own, with labels that only the test's jobs ask for."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.name, self._installation = name, installation
        made = installation.api.post("/admin/tokens/", json={"name": name, "kind": "node"})
        assert made.status_code == 201, made.text
        token = made.json()["token"]
        self._http = httpx2.Client(base_url=installation.ready["url"], headers={"Authorization": f"Bearer {token}"})
        told = self.call(
            "register", name=name, hostname=name, boot_id="boot", disk_id=name, labels={"puppet": name},
            amounts={"cpus": 4000, "mem": 4_000_000, "disk": 4_000_000},
        )  # fmt: skip
        self._self = {"node_id": told["node_id"], "epoch": told["epoch"]}

    def call(self, verb: str, **body: Any) -> dict[str, Any]:
        answer = self._http.post(f"/node/{verb}/", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def job(self, **fields: Any) -> int:
        """Submit a job that only this node can take."""
        mine = [{"label": "puppet", "value": self.name}]
        return self._installation.submit("/bin/true", constraints=mine, **fields)

    def claim(self, within_s: float = 20) -> dict[str, Any]:
        """Return the next execution that is placed here, claimed."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            waiting = self.call("beat", **self._self, holding=0)["waiting"]
            if waiting:
                one = {**waiting[0], "token": CLAIM_TOKEN}
                assert len(self.call("claim", **self._self, claims=[one])["granted"]) == 1
                return one
            time.sleep(0.1)  # a node has nothing but its beat to hear by
        raise AssertionError("nothing was placed here")

    def report(self, claimed: dict[str, Any], outcome: str = "failed", **facts: Any) -> None:
        report = {**claimed, "outcome": outcome, **facts}
        self.call("report", node_id=self._self["node_id"], reports=[report])

    def close(self) -> None:
        """Sign off."""
        self._http.post("/node/leave/", json=self._self)
        self._http.close()
