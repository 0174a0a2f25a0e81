"""What the ways of a job cost in statements and transactions. A number that grows has to be argued for; the aim of all is in the issue."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.counted import StatementCount, counted

COMMAND = {"command": ["/bin/true"]}


def _own(count: StatementCount) -> list[tuple[str, bool]]:
    """Leave out who calls, read once a second, and nodes and pools, read every two: on a busy machine that is within one request."""
    seldom = ("t.last_used", "n.labels, n.launch_failures", "AS template")
    return [one for one in count.statements if not any(mark in one[0] for mark in seldom)]


@pytest.fixture
def warm(api: Api, cluster: Cluster) -> Api:
    """An API that has answered each of these requests before."""
    cluster.a_node()
    job_id = api.a_job()["id"]
    api.get(f"/jobs/{job_id}/")
    api.get("/jobs/")
    return api


def test_a_submission_is_one_statement_beside_what_it_is_checked_against(warm: Api) -> None:
    warm.a_job()  # reads the nodes, which are known for two seconds
    with counted() as count:
        assert warm.with_headers(Idempotency_Key="k").post("/jobs/", COMMAND).status_code == 201
    own = _own(count)
    assert len(own) == 1, str(count)  # checks project and type, writes the job with its key, and reads it
    assert sum("INSERT" in text for text, _ in own) == 1


def test_a_detail_is_one_statement(warm: Api) -> None:
    job_id = warm.a_job()["id"]
    with counted() as count:
        warm.get(f"/jobs/{job_id}/")
    assert len(_own(count)) == 1, str(count)


LONE_JOB = {"statements": 16, "transactions": 6}
"""What it may take: one for the submission, four for its placement, four for the claim, five for the report, and a tick before and after."""


def test_a_lone_job_from_submission_to_its_end(warm: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    for _ in range(2):  # the second one finds everything prepared
        cluster.tick()
        with counted() as count:
            job_id = warm.a_job()["id"]
            cluster.tick()
            ref = cluster.execution_of(job_id)
            cluster.claim(node, ref)
            cluster.report(node, ref)
            cluster.tick()
        assert cluster.job(job_id).status == "COMPLETED"
    own = [one for one in _own(count) if "ORDER BY attempt DESC LIMIT 1" not in one[0]]  # the test's own question
    assert len(own) <= LONE_JOB["statements"], f"{len(own)}\n{count}"
    assert sum(begins for _, begins in own) <= LONE_JOB["transactions"], str(count)
