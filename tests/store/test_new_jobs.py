"""New jobs as they are prepared: each field that tells groups apart reaches a column, the shape or the overrides."""

from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.admin.seed import seed
from scheduler.identifiers import ProjectId
from scheduler.jobs import resolve
from scheduler.jobs.new_job import OF_EACH_JOB, SHARED, NewJob
from scheduler.store.jobs.submissions import Project
from tests.support.cluster import Cluster
from tests.support.new_jobs import different

PROJECT = Project(ProjectId(1), "default", {}, {})
HELD = NewJob(command=["true"], held=True, hold_reason="why")
"""A job with which any other field may be changed: a reason, for one, is for a job that is held."""


@pytest.fixture
def cluster(database_url: str) -> Iterator[Cluster]:
    cluster = Cluster(database_url)
    seed(cluster.rt.db, files_dir=None)
    yield cluster
    cluster.close()


OF_TABLES_OF_THEIR_OWN = {"awaits"}
"""The fields whose values are no columns of the group: tests of their own follow them."""


@pytest.mark.parametrize("name", [name for name in SHARED if name not in {"command", *OF_TABLES_OF_THEIR_OWN}])
def test_every_field_of_a_group_is_written(cluster: Cluster, name: str) -> None:
    jobs = different(HELD, name)
    with cluster.rt.db.begin() as tx:
        prepared = resolve.prepare(tx, cluster.rt, PROJECT, jobs)
    assert len({repr(group) for group in prepared.groups}) == len(jobs) >= 2


def test_jobs_that_ask_for_the_same_are_one_group_with_what_is_their_own(cluster: Cluster) -> None:
    own: dict[str, Any] = {"name": "a", "environment": {"A": "1"}, "labels": {"run": "7"}}
    assert own.keys() < OF_EACH_JOB
    with cluster.rt.db.begin() as tx:
        prepared = resolve.prepare(tx, cluster.rt, PROJECT, [HELD, NewJob(command=["true"], held=True, hold_reason="why", **own)])  # fmt: skip
    assert len(prepared.groups) == 1
    assert [(row.name, row.environment, row.labels) for row in prepared.rows] == [(None, None, None), tuple(own.values())]  # fmt: skip
