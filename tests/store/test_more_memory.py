"""After a lack of memory the next try asks for more, where the job or its type wants that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.rules.lifecycle import on_oom
from tests.support.cluster import Cluster

TWICE = {"mem_factor": 2000, "mem_max": 300_000}


def starve(cluster: Cluster, node: Any, job_id: int, error: str = "out-of-memory") -> int:
    """Let the next try fail; return the memory it had been placed with."""
    cluster.change("UPDATE jobs SET not_before = NULL WHERE id = :id", id=job_id)
    assert cluster.tick() == 1
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref, "failed", error=error)
    return int(cluster.execution(ref[0]).mem)


def wish(cluster: Cluster, job_id: int, said: dict[str, int] | None) -> None:
    cluster.change(
        "UPDATE job_specs SET overrides = CAST(:said AS jsonb) WHERE job_id = :id",
        said=json.dumps({"on_oom": said}), id=job_id,
    )  # fmt: skip


def test_each_try_gets_more_up_to_the_limit_and_the_audit_says_so(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job(mem=100_000, max_tries=4)
    wish(cluster, job_id, TWICE)
    assert [starve(cluster, node, job_id) for _ in range(4)] == [100_000, 200_000, 300_000, 300_000]
    assert (cluster.job(job_id).status, cluster.value("SELECT mem FROM jobs WHERE id = :id", id=job_id)) == (
        "FAILED",
        300_000,
    )
    reasons = [row.reason for row in cluster.query("SELECT reason FROM events WHERE event = 'RETRY' ORDER BY id")]
    assert reasons[0] == "out-of-memory; the next try asks for 200 MiB of memory instead of 100"
    assert "asks for" not in reasons[2]


def test_a_type_s_wish_holds_for_its_jobs_and_not_for_other_failures(cluster: Cluster) -> None:
    node = cluster.a_node()
    cluster.change(
        "UPDATE job_type_revisions SET definition = definition || CAST(:wish AS jsonb)",
        wish=json.dumps({"on_oom": TWICE}),
    )
    job_id = cluster.a_job(mem=100_000, max_tries=3)
    assert starve(cluster, node, job_id, "timeout") == 100_000
    assert starve(cluster, node, job_id) == 100_000
    assert starve(cluster, node, job_id) == 200_000


def test_jobs_that_wish_nothing_are_tried_again_as_they_were(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job(mem=100_000, max_tries=2)
    assert [starve(cluster, node, job_id) for _ in range(2)] == [100_000, 100_000]


def test_no_try_gets_more_than_the_largest_node_has(cluster: Cluster) -> None:
    """It would wait for ever for a node that nobody has."""
    cluster.a_node("small", mem=50_000)
    node = cluster.a_node("large", mem=250_000)
    job_id = cluster.a_job(mem=100_000, max_tries=4)
    wish(cluster, job_id, {"mem_factor": 2000})
    assert [starve(cluster, node, job_id) for _ in range(4)] == [100_000, 200_000, 250_000, 250_000]
    assert cluster.job(job_id).status == "FAILED"


@pytest.mark.parametrize(
    ("said", "error", "mem", "after"),
    [
        (None, "out-of-memory", 100, None),
        ({"mem_factor": 1500}, "out-of-memory", 101, 152),
        ({"mem_factor": 1500, "mem_max": None}, "out-of-memory", 100, 150),
        ({"mem_factor": 9000, "mem_max": 120}, "out-of-memory", 100, 120),
        ({"mem_factor": 9000, "mem_max": 100}, "out-of-memory", 100, None),
        ({"mem_factor": 9000, "mem_max": 50}, "out-of-memory", 100, None),
        ({"mem_factor": 9000}, "timeout", 100, None),
    ],
)
def test_how_much_more(said: dict[str, int] | None, error: str, mem: int, after: int | None) -> None:
    assert on_oom.next_mem(said, error, mem) == after
