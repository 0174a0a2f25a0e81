"""Fixtures: a real PostgreSQL and a real Valkey per test process, clean before every test that asks for them.

    servers             both, running for the whole session (each xdist worker has its own)
    database_url        a database with the current schema and only the rows the migrations put there
    bare_database_url   a new database with nothing in it
    broker_url          a broker with nothing in it, as Celery writes it

The servers are those of `ganger up`; only that they need not survive a power cut (no fsync).
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from api.up.embedded import servers as server_set
from api.up.embedded import state
from api.up.embedded.servers import ServerSet
from scheduler.servers import broker_client

UNSAFE_BUT_QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_wal_size": "512MB"}


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerSet]:
    """Both servers, on a state folder of this test process."""
    with state_folder() as root:
        folder = state.prepare(root)
        running = server_set.prepare(folder, database_settings=UNSAFE_BUT_QUICK)
        running.start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def migrated(servers: ServerSet) -> Seeds:
    """The servers' database after the migrations, and what these put into it."""
    from scheduler.store.schema import migrations  # noqa: PLC0415 - tests of the servers alone need no schema

    migrations.upgrade(servers.database_url)
    with connect(servers.database_url) as db:
        return Seeds.taken_from(db)


@pytest.fixture
def database_url(servers: ServerSet, migrated: Seeds) -> str:
    with connect(servers.database_url) as db:
        migrated.restore(db)
    return servers.database_url


@pytest.fixture
def bare_database_url(servers: ServerSet) -> Iterator[str]:
    name = f"bare_{secrets.token_hex(4)}"
    with connect(servers.database_url) as db:
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield servers.database_url.replace("/ganger?", f"/{name}?")
        db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def broker_url(servers: ServerSet) -> str:
    client = broker_client.connect(servers.broker_url)
    client.flushall()
    client.close()
    return servers.broker_url


class state_folder:  # noqa: N801 - used as a function in a with statement
    """A new folder that the servers' account can enter (pytest's own cannot be, as root), removed at the end.

    `spaced` gives its name a space, as many a user's has.
    """

    def __init__(self, *, spaced: bool = False) -> None:
        self._prefix = "ganger test-" if spaced else "ganger-test-"

    def __enter__(self) -> Path:
        self.path = Path(tempfile.mkdtemp(prefix=self._prefix))
        self.path.chmod(0o711)
        return self.path

    def __exit__(self, *_: object) -> None:
        home = (self.path / "servers").resolve()
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection in autocommit mode that closes at the end of its `with`."""
    return psycopg.connect(url, autocommit=True)


@dataclass(frozen=True, slots=True)
class Seeds:
    """What a database holds right after the migrations: rows of each table, and where each sequence stands."""

    rows: dict[str, bytes]
    sequences: tuple[tuple[str, int, bool], ...]

    @classmethod
    def taken_from(cls, db: psycopg.Connection[tuple[object, ...]]) -> Seeds:
        rows = {}
        for table in _tables(db):
            with (
                db.cursor() as cursor,
                cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy,
            ):
                rows[table] = b"".join(bytes(block) for block in copy)
        names = db.execute("SELECT sequencename::text FROM pg_sequences WHERE schemaname = 'public'").fetchall()
        return cls(rows, tuple(_position(db, str(name)) for (name,) in names))

    def restore(self, db: psycopg.Connection[tuple[object, ...]]) -> None:
        """Empty every table and put back what was there; ends whoever still holds a transaction open.

        Few rows are deleted and many truncated: to truncate all tables takes longer than most tests.
        """
        used = _used_tables(db)
        if not used:
            return
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
        )
        large = [sql.Identifier(table) for table, size in used.items() if size > _FEW_BYTES]
        small = [sql.Identifier(table) for table, size in used.items() if size <= _FEW_BYTES]
        steps = [
            sql.SQL("SET LOCAL lock_timeout = '20s'"),
            sql.SQL("SET LOCAL session_replication_role = 'replica'"),  # the order of tables does not matter
            *([sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(large))] if large else []),
            *([sql.SQL("LOCK TABLE {}").format(sql.SQL(", ").join(small))] if small else []),
            *(sql.SQL("DELETE FROM {}").format(table) for table in small),
        ]
        with db.transaction():
            db.execute(sql.SQL("; ").join(steps))
            for table, content in self.rows.items():
                if content:
                    statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
                    with db.cursor() as cursor, cursor.copy(statement) as copy:
                        copy.write(content)
            db.execute(
                "SELECT setval(name::regclass, value, called) FROM unnest(%s::text[], %s::int8[], %s::bool[]) AS t (name, value, called)",
                [list(column) for column in zip(*self.sequences, strict=True)],
            )


_FEW_BYTES = 128 * 1024


def _tables(db: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Plain tables and partitioned parents' leaves, without Alembic's own."""
    return list(_sizes(db))


def _used_tables(db: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    """Tables that something was written to since they were truncated."""
    return {table: size for table, size in _sizes(db).items() if size}


def _sizes(db: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    found = db.execute(
        "SELECT c.relname::text, pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'alembic_version' ORDER BY 1"
    )
    return {str(name): int(str(size)) for name, size in found.fetchall()}


def _position(db: psycopg.Connection[tuple[object, ...]], sequence: str) -> tuple[str, int, bool]:
    found = db.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(sequence))).fetchone()
    assert found is not None
    return (f'"{sequence}"', int(str(found[0])), bool(found[1]))
