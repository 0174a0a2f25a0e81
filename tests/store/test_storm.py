"""Every verb at once, from many threads, with real commits: nothing waits for each other, and every invariant holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.leader import invariants
from tests.support.cluster import Cluster
from tests.support.storm import Storm

SECONDS = 4.0


@pytest.fixture
def stormy(database_url: str) -> Iterator[Cluster]:
    made = Cluster(database_url, retry_first_s=0, claim_deadline_s=0.02, max_withdrawals=1000, lease_s=12.0)
    yield made
    made.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_meets_in_a_storm_ends_as_it_should(stormy: Cluster, seed: int) -> None:
    storm = Storm(stormy, jobs=60, nodes=4, seed=seed)
    storm.blow(SECONDS)
    assert storm.troubles == []
    assert invariants.check(stormy.rt, hours=None) == []
    storm.calm()
    assert invariants.check(stormy.rt, hours=None) == []
    assert min(storm.done[word] for word in ("placed", "claim", "report", "cancel", "requeue", "lost")) > 0
