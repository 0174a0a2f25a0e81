"""Which files a node may fetch for the jobs of data sets: they stand in no job's data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.data_sets import changing, working
from scheduler.data_sets.working import QueryCriteria
from scheduler.errors import Conflict
from scheduler.identifiers import FileId
from scheduler.needs import force
from scheduler.store.nodes import credentials
from tests.store.test_data_sets import ANN, World, new


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(database_url, tmp_path)
    yield made
    made.close()


def may_fetch(world: World, file_id: int) -> bool:
    with world.rt.db.begin() as tx:
        return credentials.reads(tx, world.node.node_id, 0, FileId(file_id))


def test_a_node_fetches_the_columns_of_the_set_that_it_works_on_and_of_no_other(world: World) -> None:
    mine, other = world.create("mine"), world.create("other")
    for row in (mine, other):
        world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    world.work()
    column, foreign = (working.numbered(world.rt, row, 2).columns[0]["file_id"] for row in (mine, other))
    assert not may_fetch(world, column)
    started, _, _ = working.query(
        world.rt, ANN, changing.get(world.rt, ANN, mine.uuid), QueryCriteria(["*"]), world.admission
    )
    world.tick()
    assert world.claim(world.node, world.execution_of(started.job_id)).granted
    assert (may_fetch(world, column), may_fetch(world, foreign)) == (True, False)


def test_nobody_says_that_a_job_of_a_data_set_is_done(world: World) -> None:
    """It would be COMPLETED without its version, and whoever asked how it is doing was told of a fault inside."""
    row = world.create("mine")
    started = world.update(row, "i,j,k,a\n0,0,0,1\n", new=[new("a", "Int8")])
    world.tick()
    ref = world.execution_of(started.job_id)
    assert world.claim(world.node, ref).granted
    world.report(world.node, ref, properties={"problem": {"title": "No", "detail": "it does not fit"}})
    assert world.status(started) == "FAILED"
    with pytest.raises(Conflict, match="asks? for it again"):
        force.done(world.rt, ANN, started.job_id, {"result": {"base": 1, "rows": 1}})
    assert world.status(started) == "FAILED"
