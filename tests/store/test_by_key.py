"""Statements that go to the driver past SQLAlchemy: a connection that has died is found dead, and all others of its time with it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from scheduler import runtime
from scheduler.settings import Settings
from scheduler.store import by_key
from tests.support.servers import connect


def test_a_database_that_was_started_anew_costs_one_failure_and_not_one_for_each_connection(database_url: str) -> None:
    engine = runtime.connect(database_url, Settings(), keeps_plans=True, name="of-this-test")
    with engine.connect(), engine.connect(), engine.connect():
        pass  # three are kept
    with connect(database_url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'of-this-test'"
        )
    with pytest.raises(DBAPIError) as failed, engine.connect() as tx:
        by_key.rows(tx, "SELECT 1", {})
    assert failed.value.connection_invalidated
    with engine.connect() as one, engine.connect() as two, engine.connect() as three:
        assert [by_key.rows(tx, "SELECT 1", {}) for tx in (one, two, three)] == [[(1,)]] * 3
    engine.dispose()
