"""A job of several members by hand: placed, claimed and reported on nodes that are only rows.

gang    three members on three nodes of one seat each, in a `cluster`
"""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import wire
from scheduler.leader import invariants
from tests.support.cluster import Cluster


class Gang:
    """A job of several members on nodes of one seat each."""

    def __init__(self, cluster: Cluster, members: int = 3, **job: Any) -> None:
        self.cluster, self.count = cluster, members
        self.nodes = {f"g{n}": cluster.a_node(f"g{n}", cpus=1000) for n in range(members)}
        self.job_id = cluster.a_job(members=members, **job)

    @property
    def rows(self) -> list[Any]:
        return self.cluster.members_of(self.job_id)

    @property
    def job(self) -> Any:
        return self.cluster.job(self.job_id)

    def place(self) -> None:
        assert self.cluster.tick() == 1

    def claim(self, *members: int) -> wire.ClaimAnswer:
        for row in (self.rows[n] for n in members):
            answer = self.cluster.claim(self.nodes[row.node], (row.id, row.attempt))
        return answer

    def report(self, member: int, outcome: str = "completed", **facts: Any) -> wire.ReportAnswer:
        row = self.rows[member]
        return self.cluster.report(self.nodes[row.node], (row.id, row.attempt), outcome, **facts)

    def start(self) -> None:
        self.place()
        self.claim(*range(self.count))

    def statuses(self) -> list[str]:
        return [row.status for row in self.rows]

    def asked(self) -> list[str | None]:
        return [row.cancel_requested for row in self.rows]

    def sound(self) -> None:
        assert invariants.check(self.cluster.rt, hours=None) == []


@pytest.fixture
def gang(cluster: Cluster) -> Gang:
    return Gang(cluster)
