"""A role's wait for its database: a line a minute with the database's own reason, and an end as soon as it is asked to end."""

from __future__ import annotations

import psycopg
import pytest
import structlog
from sqlalchemy.exc import OperationalError, ProgrammingError

from scheduler.servers import database_wait

REFUSED = OperationalError(
    "", {}, psycopg.OperationalError("port 5432 failed: Connection refused\n\tIs the server running?")
)
NO_TABLE = ProgrammingError("", {}, psycopg.errors.UndefinedTable('relation "errors" does not exist'))


class Database:
    """Fails until `ready_at`; the clock is that of the pauses."""

    def __init__(self, ready_at: float, error: Exception, stop_at: float = 1e9) -> None:
        self.now, self._ready_at, self._error, self._stop_at = 0.0, ready_at, error, stop_at
        self.calls = 0

    def prepare(self) -> None:
        self.calls += 1
        if self.now < self._ready_at:
            raise self._error

    def pause(self, seconds: float) -> bool:
        self.now += seconds
        return self.now >= self._stop_at


def wait_for(database: Database) -> tuple[bool, list[str]]:
    with structlog.testing.capture_logs() as lines:
        done = database_wait.prepare_when_ready(database.prepare, database.pause, lambda: database.now)
    return done, [str(line.get("reason")) for line in lines if line["event"] == "database.awaited"]


def test_ten_minutes_without_a_database_are_ten_lines_with_the_true_reason() -> None:
    done, reasons = wait_for(Database(599.0, REFUSED))
    assert done
    assert reasons == ["port 5432 failed: Connection refused"] * 10


def test_the_first_tries_follow_soon_and_later_ones_every_five_seconds() -> None:
    database = Database(599.0, REFUSED)
    wait_for(database)
    assert 115 <= database.calls <= 130


def test_a_schema_that_is_not_there_is_named() -> None:
    assert wait_for(Database(1.0, NO_TABLE))[1] == [
        'the schema is not that of this release (relation "errors" does not exist); `ganger setup` makes it'
    ]


def test_rights_that_are_missing_are_not_called_a_missing_schema() -> None:
    denied = ProgrammingError("", {}, psycopg.errors.InsufficientPrivilege("permission denied for table errors"))
    assert wait_for(Database(1.0, denied))[1] == ["permission denied for table errors"]


def test_a_database_that_is_there_is_no_line() -> None:
    assert wait_for(Database(0.0, REFUSED)) == (True, [])


def test_the_wait_ends_when_the_process_is_to_end() -> None:
    assert wait_for(Database(1e9, REFUSED, stop_at=10.0))[0] is False


def test_other_errors_are_not_waited_for() -> None:
    with pytest.raises(ValueError, match="no key"):
        wait_for(Database(1.0, ValueError("no key")))
