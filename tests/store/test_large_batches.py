"""Large batches: while they are written plans are kept, and afterwards each kind of session is as it was."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from scheduler.runtime import connect
from scheduler.settings import Settings
from scheduler.store import large_batches


def mode(tx: Connection) -> str:
    return str(tx.execute(text("SHOW plan_cache_mode")).scalar_one())


@pytest.mark.parametrize(("keeps_plans", "before"), [(False, "force_custom_plan"), (True, "force_generic_plan")])
def test_a_session_plans_after_a_large_batch_as_it_did_before(
    database_url: str, before: str, *, keeps_plans: bool
) -> None:
    engine = connect(database_url, Settings(), keeps_plans=keeps_plans)
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as tx:
        assert mode(tx) == before
        with large_batches.of(tx, large_batches.LARGE - 1):
            assert mode(tx) == before
        with large_batches.of(tx, large_batches.LARGE):
            assert mode(tx) == "auto"
        assert mode(tx) == before
    engine.dispose()
