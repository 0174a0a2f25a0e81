"""Reports on data sets go when their sets go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from scheduler.data_sets import changing, reporting
from scheduler.data_sets.reporting import ReportWords
from scheduler.errors import Conflict
from scheduler.retention.sweep import Sweep
from scheduler.rules.data_sets.reports import ReportDocument
from tests.store.test_data_sets import ANN, World

SPECIFICATIONS = """
    INSERT INTO data_set_specifications (data_set_id, name, autorun, created_by, created_by_name)
    SELECT id, 'a report', false, 1, 'x' FROM data_sets
"""
RESULTS = """
    INSERT INTO data_set_reports (uuid, specification_id, version) SELECT gen_random_uuid(), id, 1 FROM data_set_specifications
"""


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(database_url, tmp_path)
    yield made
    made.close()


def test_reports_go_with_their_data_set_and_no_others(world: World) -> None:
    gone, kept = (world.create(name) for name in ("gone", "kept"))
    world.work()
    for statement in (SPECIFICATIONS, RESULTS):
        world.change(statement)
    changing.delete(world.rt, ANN, gone.uuid)
    world.change("UPDATE data_sets SET deleted = now() - interval '31 days' WHERE name = 'gone'")
    assert Sweep(world.rt).run()["data-sets"] == 1
    assert world.value("SELECT count(*) FROM data_set_reports") == 1
    assert world.value("SELECT max(data_set_id) FROM data_set_specifications") == kept.id


def test_a_data_set_has_a_bounded_number_of_reports(world: World) -> None:
    """The jobs of all that run by themselves are made in the transaction that makes a version."""
    full = world.create("full")
    world.work()
    for _ in range(reporting.MOST):
        world.change(SPECIFICATIONS)
    words = ReportWords("one more", None, cast("ReportDocument", {}))
    with pytest.raises(Conflict, match="at most 50 reports"):
        reporting.specify(world.rt, ANN, full, words)
