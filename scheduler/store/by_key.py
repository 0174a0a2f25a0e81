"""Statements that find a few rows by their keys, many times a second: prepared once, and read without a description of each column.

They go to the driver past SQLAlchemy, which would describe each of a job's seventy columns anew. `Runtime.keyed` is the
place to run them: its sessions keep their plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def rows(tx: Connection, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement in the driver's own form (`%(name)s`). Raises SQLAlchemy's errors, as any other statement."""
    return run(tx, statement, parameters, prepare=True)[0]


def run(
    tx: Connection,
    statement: str,
    parameters: Mapping[str, Any],
    *,
    prepare: bool | None = None,
    binary: bool = False,
) -> tuple[list[tuple[Any, ...]], Any]:
    """Return the rows as `rows` does, and the driver's cursor, which describes the columns to who asks.

    Without a word about `prepare` the driver does it for a statement that it sees often. With `binary` the rows travel as they are
    stored: bytes as text are twice as many, and are written and read letter by letter.
    """
    driver: Any = tx.connection.driver_connection
    try:
        cursor = driver.execute(statement, parameters, prepare=prepare, binary=binary)
        return cursor.fetchall(), cursor
    except psycopg.Error as error:
        if driver.closed:
            with suppress(DBAPIError):  # SQLAlchemy finds it dead by itself, and forgets all others of its time with it
                tx.exec_driver_sql("SELECT 1")
        raise DBAPIError.instance(
            statement,
            None,
            error,
            psycopg.Error,
            hide_parameters=True,
            connection_invalidated=bool(driver.closed),
            dialect=tx.dialect,
        ) from error
