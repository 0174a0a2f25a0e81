"""What lists are read from: names become ids once, and new jobs are held to what they name in sets."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from scheduler.store import paging
from scheduler.store.admin import type_listing
from scheduler.store.jobs import listing
from scheduler.store.jobs.listing import JobFilter
from scheduler.store.paging import PageWindow
from tests.support.cluster import Cluster


@pytest.mark.parametrize("field", ["job_type_name", "job_type_category", "error_category", "node", "project"])
def test_a_name_that_nothing_has_costs_no_search(cluster: Cluster, field: str) -> None:
    with cluster.rt.db.begin() as tx:
        chosen: dict[str, Any] = {field: ("nothing-has-it",)}
        condition = listing.condition(tx, JobFilter(**chosen))
        assert (condition.sql, dict(condition.parameters)) == ("false", {})
        assert paging.read(tx, listing.JOBS, condition, PageWindow(1, 10, ())).rows == []


def test_a_pool_is_the_one_asked_for_or_the_one_of_the_node(cluster: Cluster) -> None:
    waiting, placed, other = cluster.a_job(), cluster.a_job(), cluster.a_job()
    node = cluster.a_node()
    with cluster.rt.db.begin() as tx:
        tx.execute(text("UPDATE jobs SET pool = 'big' WHERE id = :id"), {"id": waiting})
        tx.execute(text("UPDATE jobs SET node_id = :node WHERE id = :id"), {"node": node.node_id, "id": placed})
        tx.execute(text("INSERT INTO pools (name) VALUES ('big')"))
        tx.execute(text("UPDATE nodes SET pool_id = (SELECT id FROM pools WHERE name = 'big')"))
        condition = listing.condition(tx, JobFilter(pool=("big",)))
        found = [row.id for row in paging.read(tx, listing.JOBS, condition, PageWindow(1, 10, ())).rows]
    assert found == [waiting, placed]
    assert other not in found


NEW_JOB = """
    INSERT INTO jobs (project_id, job_type_id, revision_id, shape_id, status, max_tries, priority, cpus, mem)
    SELECT project_id, job_type_id, {revision}, {shape}, 'QUEUED', 3, 100, 1000, 64000 FROM jobs WHERE id = :id
"""


@pytest.mark.parametrize(
    "statement",
    [
        NEW_JOB.format(revision="revision_id", shape="shape_id + 1000000"),
        NEW_JOB.format(revision="revision_id + 1000000", shape="shape_id"),
        "INSERT INTO job_specs (job_id) VALUES (:id + 1000000)",
        "INSERT INTO job_specs (job_id, created_by) SELECT max(id), 1000000 FROM jobs WHERE id >= :id",
    ],
)
def test_no_job_can_name_what_is_not_there(cluster: Cluster, statement: Any) -> None:
    job_id = cluster.a_job()
    with cluster.rt.db.begin() as tx:
        tx.execute(text("DELETE FROM job_specs WHERE job_id = :id"), {"id": job_id})
    with cluster.rt.db.begin() as tx, pytest.raises(IntegrityError, match="not there"):
        tx.execute(text(statement), {"id": job_id})


def test_jobs_of_types_are_counted_as_far_as_is_cheap(cluster: Cluster) -> None:
    jobs = [cluster.a_job() for _ in range(5)]
    running = cluster.a_job("RUNNING")
    for ago, job_id in enumerate(jobs):
        cluster.change(
            "UPDATE jobs SET last_modified = now() - make_interval(mins => :ago) WHERE id = :id", ago=ago, id=job_id
        )
    cluster.change("UPDATE jobs SET last_modified = now() - interval '9 hours' WHERE id = :id", id=running)
    third = cluster.job(jobs[2]).last_modified
    with cluster.rt.db.begin() as tx:
        some = type_listing.statuses(tx, project_id=None, started=None, ended=None, most=3)
        of_time = type_listing.statuses(tx, project_id=None, started=third, ended=None, most=4)
    assert {(row.status, row.count) for row in some if row.status} == {("QUEUED", 3), ("RUNNING", 1)}
    assert {row.counted_since for row in some} == {third}
    assert {(row.status, row.count) for row in of_time if row.status} == {("QUEUED", 3), ("RUNNING", 1)}
    assert {row.counted_since for row in of_time} == {None}
