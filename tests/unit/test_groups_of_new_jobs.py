"""Jobs of a batch share a group only where they ask for the same: a new field of NewJob tells groups apart by itself."""

from dataclasses import fields

import pytest

from scheduler.identifiers import RevisionId
from scheduler.jobs.new_job import OF_EACH_JOB, RESOLVED, SHARED, NewJob, group_key
from tests.support.new_jobs import different

NAMES = {each.name for each in fields(NewJob)}


def key(job: NewJob, *, revision: int = 1, input_mib: int = 0) -> bytes:
    return group_key(job, RevisionId(revision), input_mib)


@pytest.mark.parametrize("name", SHARED)
def test_jobs_that_differ_in_one_field_have_different_groups(name: str) -> None:
    jobs = different(NewJob(), name)
    assert len({key(job) for job in jobs}) == len(jobs) >= 2


@pytest.mark.parametrize("name", sorted((OF_EACH_JOB | RESOLVED) - {"needs", "conditions", "cache"}))
def test_what_is_each_jobs_own_or_resolved_makes_no_group(name: str) -> None:
    assert len({key(job) for job in different(NewJob(), name)}) == 1


def test_of_the_needs_it_counts_only_whether_there_are_any() -> None:
    assert len({key(job) for job in different(NewJob(), "needs")}) == 2
    assert len({key(job) for job in different(NewJob(), "conditions")}) == 2
    assert len({key(job) for job in different(NewJob(), "cache")}) == 2


def test_equal_jobs_share_a_group() -> None:
    for name in SHARED:
        assert [key(job) for job in different(NewJob(), name)] == [key(job) for job in different(NewJob(), name)]


def test_revision_and_size_of_the_inputs_make_groups() -> None:
    assert len({key(NewJob()), key(NewJob(), revision=2), key(NewJob(), input_mib=2)}) == 3


def test_the_exceptions_are_fields() -> None:
    assert OF_EACH_JOB | RESOLVED <= NAMES
    assert not OF_EACH_JOB & RESOLVED
