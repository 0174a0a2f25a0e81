"""The newest version is the one with the largest numbers, releases before pre-releases, and words last."""

from __future__ import annotations

import random

import pytest

from scheduler.rules.job_type import versions

NEWEST_FIRST = [
    "99999999999999999999.0", "10.0", "2.0.0", "v1.10", "1.9.3", "1.9", "1.2.10", "1.2.9", "1.2", "1", "0.1", "0",
    "2.0-rc.10", "2.0-rc.2", "2.0-rc", "2.0-beta.11", "2.0-beta", "2.0-alpha.beta", "2.0-alpha.1", "2.0-1", "1.0-rc.1",
]  # fmt: skip


def test_versions_are_ordered_by_their_numbers() -> None:
    shuffled = random.Random(7).sample(NEWEST_FIRST, len(NEWEST_FIRST))
    assert sorted(shuffled, key=versions.order, reverse=True) == NEWEST_FIRST


@pytest.mark.parametrize(("one", "same"), [("1", "1.0.0"), ("v2", "2"), ("1.02", "1.2"), ("latest", "stable")])
def test_some_versions_are_written_otherwise_and_mean_the_same(one: str, same: str) -> None:
    assert versions.order(one) == versions.order(same)


def test_a_version_without_numbers_comes_after_all_others() -> None:
    assert versions.order("latest") < min(map(versions.order, NEWEST_FIRST))
