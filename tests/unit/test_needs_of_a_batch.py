"""Needs of a batch are counted as they are written: a single job once, alternatives with the group that is made of them."""

from __future__ import annotations

import pytest

from scheduler.jobs.new_job import NewJob
from scheduler.needs import batch
from scheduler.needs.batch import EarlierEntry
from scheduler.needs.new_needs import NewNeed


def job(*needs: NewNeed, key: str | None = None) -> NewJob:
    return NewJob(command=["true"], needs=list(needs) or None, key=key)


@pytest.mark.parametrize(
    ("needs", "count"),
    [
        ([NewNeed(job="@0"), NewNeed(job="=b")], 2),
        ([NewNeed(job=7), NewNeed(group="shards")], 2),
        ([NewNeed(any_of=("@0", "@1", 7))], 4),
    ],
)
def test_one_request_has_so_many_needs_and_no_more(
    needs: list[NewNeed], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [job(), job(key="b"), job(*needs), job(*needs)]
    monkeypatch.setattr(batch, "MOST_EDGES", 2 * count)
    assert not batch.read(asked).faults
    monkeypatch.setattr(batch, "MOST_EDGES", 2 * count - 1)
    (fault,) = batch.read(asked).faults.values()
    assert fault.together().field == "needs"
    shared = [*asked[:3], NewJob(command=["true"], needs=asked[2].needs)]
    assert batch.read(shared).faults, "jobs that share their needs count likewise"


def test_jobs_of_the_batch_are_found_by_key_and_by_place() -> None:
    read = batch.read([job(key="a"), job(NewNeed(job="=a")), job(NewNeed(job="@0"), NewNeed(job=7))])
    assert [one.jobs for one in read.needs[1]] == [(EarlierEntry(0),)]
    assert [one.jobs for one in read.needs[2]] == [(EarlierEntry(0),), (7,)]
    assert read.levels == {0: 1}


@pytest.mark.parametrize(
    ("named", "words"), [("=c", "no job of the batch has the key 'c'"), ("=b", "=b is the job itself"), ("@2", "@2 comes later")]
)  # fmt: skip
def test_a_need_that_cannot_be_is_told_by_its_place(named: str, words: str) -> None:
    read = batch.read([job(key="a"), job(NewNeed(job="=a"), NewNeed(job=named), key="b"), job()])
    (fault,) = read.faults[1].together().faults
    assert (fault.field, words in fault.sentence) == ("needs[1].job", True)
