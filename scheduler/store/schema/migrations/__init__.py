"""The schema's history, applied from code: `upgrade(url)` brings any database to the newest version.

Expand, then contract: a release only adds what the release before it can live with, and removes what the release
before it no longer uses.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, text

_LOCK = 0x67616E676572
"""Advisory lock key (the word "ganger"): several roles may start at once, one of them migrates."""


def upgrade(url: str | URL) -> None:
    """Apply every migration that this database lacks; safe to call from several processes at once."""
    engine = create_engine(url)
    try:
        with engine.connect() as tx:
            tx.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            tx.commit()
            try:
                command.upgrade(_config(tx), "head")
                tx.commit()
            finally:
                tx.rollback()
                tx.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
                tx.commit()
    finally:
        engine.dispose()


@cache
def head() -> str:
    """Return the newest version there is. The folder is read once: later the process may lack the right to."""
    return str(ScriptDirectory.from_config(_config(None)).get_current_head())


def current(tx: Connection) -> str | None:
    """Return the version of this database, None where there is no schema yet."""
    if tx.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config(tx: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = tx
    return config
