"""An address of the database in words, for PostgreSQL's own library."""

from __future__ import annotations

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL


def words(url: URL, **more: str) -> str:
    """Return an address as words, `host=... dbname=...`, for PostgreSQL's own library; `more` is what it need not say itself.

    SQLAlchemy writes an address with `+` for a space, which that library takes for a plus: no folder with a space would be found.
    """
    named = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
        **more,
        **{name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()},
    }
    return make_conninfo(**{name: str(value) for name, value in named.items() if value is not None})
