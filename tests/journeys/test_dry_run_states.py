"""A dry run of an array says for each of its jobs what the next tick does with it, in a thousand random states of a real database."""

import random

import pytest

from scheduler import wire
from tests.journeys.test_http_explain import everything
from tests.support.api import Api
from tests.support.cluster import Cluster

SEEDS, STATES = 20, 50

LOOKED_AT = 10
"""The whole database is read before and after every tenth dry run."""


class Life:
    """An installation to which random things happen."""

    def __init__(self, api: Api, cluster: Cluster, seed: int) -> None:
        self.api, self.cluster, self.chance = api, cluster, random.Random(seed)
        self.nodes = {(node := self._node(number)).node_id: node for number in range(2)}
        self.type = api.a_type("limited", max_scheduled=3)["id"]

    def go_on(self) -> None:
        """Something happens: nodes come, are paused and resumed; jobs come, start, end and are cancelled."""
        self._age()
        for _ in range(self.chance.randint(1, 3)):
            self.chance.choice([self._come, self._come, self._end, self._end, self._cancel, self._pause, self._turn])()

    def some_jobs(self) -> list[dict[str, object]]:
        """An array to submit: jobs alike and unlike, some held, some of a type that is limited."""
        alike = self.chance.randint(1, 3)
        return [job for job in (self._job() for _ in range(self.chance.randint(1, 3))) for _ in range(alike)]

    def _job(self) -> dict[str, object]:
        kind = {"job_type_id": self.type} if self.chance.random() < 0.3 else {"command": ["true"]}
        return {
            **kind,
            "cpus_required": self.chance.choice([0.5, 1, 2, 8]),
            "mem_required": self.chance.choice([0, 100, 4000, 9000]),
            "priority": self.chance.choice([10, 100, 100, 200]),
            "held": self.chance.random() < 0.15,
        }

    def _node(self, number: int) -> wire.Registered:
        return self.cluster.a_node(f"n{number}", cpus=self.chance.choice([1000, 2000, 4000]))

    def _age(self) -> None:
        """Waits are compared in steps of 4 %: one of a moment ago is in another step by the time of the tick, one of days is not."""
        self.api.change(
            "UPDATE jobs SET queued = queued - interval '1 day', moved_xid = pg_current_xact_id() WHERE status = 'QUEUED'"
        )

    def let_no_time_pass(self, ids: list[int]) -> None:
        """A dry run speaks of this moment. On a busy machine the tick comes half a second later, and merit counts that."""
        self.api.change(
            "UPDATE jobs SET queued = clock_timestamp(), moved_xid = pg_current_xact_id() "
            "WHERE id = ANY(:ids) AND status = 'QUEUED'",
            ids=ids,
        )

    def _come(self) -> None:
        self.api.post("/jobs/", [self._job() for _ in range(self.chance.randint(1, 2))])
        self._age()

    def _turn(self) -> None:
        self.cluster.tick()
        if len(self.nodes) < 5 and self.chance.random() < 0.3:
            node = self._node(len(self.nodes))
            self.nodes[node.node_id] = node

    def _pause(self) -> None:
        self.api.change(
            "UPDATE nodes SET is_paused = :yes WHERE name = :name",
            yes=self.chance.random() < 0.5,
            name=f"n{self.chance.randint(0, 4)}",
        )

    def _cancel(self) -> None:
        for row in self.api.query("SELECT id FROM jobs WHERE status = 'QUEUED' ORDER BY id LIMIT 2"):
            assert self.api.patch(f"/jobs/{row.id}/", {"status": "CANCELED"}).status_code < 300

    def _end(self) -> None:
        running = self.api.query(
            "SELECT id, attempt, node_id FROM executions WHERE status IN ('QUEUED', 'RUNNING') ORDER BY id LIMIT 3"
        )
        for row in running:
            node, ref = self.nodes[row.node_id], (row.id, row.attempt)
            if self.cluster.claim(node, ref).granted:
                self.cluster.report(node, ref)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_job_of_an_array_becomes_what_its_dry_run_says_and_nothing_is_written(
    api: Api, cluster: Cluster, seed: int
) -> None:
    life, seen = Life(api, cluster, seed), set[bool]()
    for state in range(STATES):
        life.go_on()
        new = life.some_jobs()
        before = everything(api) if state % LOOKED_AT == 0 else None
        told = api.post("/jobs/", new, dry_run="true").json["results"]
        assert before is None or everything(api) == before
        ids = api.post("/jobs/", new).json["job_ids"]
        life.let_no_time_pass(ids)
        cluster.tick()
        status = {row.id: row.status for row in api.query("SELECT id, status FROM jobs WHERE id = ANY(:ids)", ids=ids)}
        starts = [one["would"] == "start" for one in told]
        assert starts == [status[one] == "RUNNING" for one in ids], state
        nodes = api.query(
            "SELECT DISTINCT ON (x.job_id) x.job_id, n.name FROM executions x JOIN nodes n ON n.id = x.node_id "
            "WHERE x.job_id = ANY(:ids) ORDER BY x.job_id, x.id DESC",
            ids=ids,
        )
        names = {row.job_id: row.name for row in nodes}
        assert [one["node"] and one["node"]["name"] for one in told] == [names.get(one) for one in ids], state
        seen |= set(starts)
    assert seen == {True, False}, "some start and some wait, or nothing was tried"
