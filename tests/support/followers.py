"""Jobs that need others: their parents end, and the leader's resolver sees it, without a leader."""

from __future__ import annotations

from typing import Any

from scheduler.resolver import resolver
from tests.support.api import Api
from tests.support.cluster import Cluster


def resolve(api: Api) -> None:
    """Let what ended be seen by the leader."""
    while resolver.resolve(api.rt):
        pass


def end(api: Api, cluster: Cluster, node: Any, job_id: int, outcome: str = "completed", **facts: Any) -> None:
    """Place a queued job, run it on this node to this end, and let its followers know."""
    while api.get(f"/jobs/{job_id}/").json["status"] == "QUEUED":
        assert cluster.tick()
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref, outcome, **facts)
    resolve(api)
