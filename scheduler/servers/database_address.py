"""The address of the database: PostgreSQL's own library reads it, so every spelling works that works with `psql`.

That is `postgresql://` or `postgres://`, several hosts, a unix socket, a service (`postgresql://?service=NAME`), or words such as
`host=db dbname=ganger`. `PGPASSWORD`, `PGSERVICEFILE`, `~/.pgpass` and their like count for what it leaves open.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from scheduler.errors import SetupError

_FORM = "postgresql://USER:PASSWORD@HOST:5432/DATABASE, with special characters of the password as %XX"
_WORDS = re.compile(r"\s*\w+\s*=")
_PORT_MAX = 65535


def read(text: str) -> URL:
    """Return the address with our driver. Raises SetupError, which does not repeat it: it may hold a password."""
    parts = {name: str(value) for name, value in _parts(text).items() if value is not None}
    host, port = parts.get("host", ""), parts.get("port", "")
    user, password, name = (parts.pop(key, None) for key in ("user", "password", "dbname"))
    if host and not host.startswith(("/", "@")) and "," not in host + port:
        del parts["host"]
        parts.pop("port", None)
        return URL.create(
            "postgresql+psycopg", user, password, host, int(port) if port else None, database=name, query=parts
        )
    return URL.create("postgresql+psycopg", user, password, database=name, query=parts)


def plain(text: str) -> str:
    """Return the address as PostgreSQL's own library reads it. Raises SetupError."""
    _parts(text)
    return _without_driver(text)


def shown(text: str) -> str:
    """Return the address for a message, without its password. Raises SetupError."""
    return read(text).set(drivername="postgresql").render_as_string(hide_password=True)


def _parts(text: str) -> dict[str, str | int | None]:
    if not text.strip():
        raise SetupError("GANGER_DATABASE_URL is empty")
    try:
        parts = dict(conninfo_to_dict(_without_driver(text)))
    except psycopg.Error:
        raise SetupError(f"GANGER_DATABASE_URL cannot be read; it is written as {_FORM}") from None
    ports = str(parts.get("port") or "").split(",")
    if not all(not port or (port.isdigit() and 0 < int(port) <= _PORT_MAX) for port in ports):
        raise SetupError(f"GANGER_DATABASE_URL names a port that is none; it is written as {_FORM}")
    return parts


def _without_driver(text: str) -> str:
    """Return the address without SQLAlchemy's name of a driver, under the one name of PostgreSQL's scheme."""
    scheme, mark, rest = text.strip().partition("://")
    if not mark or _WORDS.match(text):
        return text.strip()
    if scheme.partition("+")[0].lower() not in {"postgres", "postgresql"}:
        raise SetupError(f"GANGER_DATABASE_URL is not an address of PostgreSQL; it is written as {_FORM}")
    return f"postgresql://{rest}"
