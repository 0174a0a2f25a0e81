"""Servers of your own: checked once at start, so that one out of reach or too old is named in one line."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import redis

from api.up.embedded.providers import BROKER_MINIMUM, POSTGRES_MINIMUM
from scheduler.errors import SetupError
from scheduler.servers import broker_client, database_address

# A server that takes longer than this to greet is out of reach for an interactive start.
GREET_WITHIN_S = 5


def check_database(url: str) -> None:
    """Return if the PostgreSQL at `url` answers and is new enough. Raises SetupError otherwise."""
    try:
        connection = psycopg.connect(database_address.plain(url), connect_timeout=GREET_WITHIN_S)
    except psycopg.Error as error:
        message = (
            f"the database {database_address.shown(url)} cannot be reached ({_first_line(error)}); "
            "check GANGER_DATABASE_URL, or unset it to use the embedded PostgreSQL"
        )
        raise SetupError(message) from error
    with connection:
        major, minor = divmod(connection.info.server_version, 10000)
    if (major,) < POSTGRES_MINIMUM:
        message = (
            f"the database {database_address.shown(url)} is PostgreSQL {major}.{minor}; Ganger needs {POSTGRES_MINIMUM[0]} or newer: "
            "upgrade it, or unset GANGER_DATABASE_URL to use the embedded one"
        )
        raise SetupError(message)


def check_broker(url: str) -> None:
    """Return if the Redis or Valkey at `url` answers and is new enough. Raises SetupError otherwise."""
    try:
        client = broker_client.connect(url)
        told = str(client.info("server")["redis_version"])
        client.close()
    except (redis.RedisError, ValueError) as error:
        message = (
            f"the broker {shown(url)} cannot be reached ({_first_line(error)}); "
            "check GANGER_BROKER_URL, or unset it to use the embedded Valkey"
        )
        raise SetupError(message) from error
    version = tuple(int(part) for part in told.split(".") if part.isdigit())
    if version < BROKER_MINIMUM:
        message = (
            f"the broker {shown(url)} is Redis {told}; Ganger needs 6.2 or newer: "
            "upgrade it, or unset GANGER_BROKER_URL to use the embedded one"
        )
        raise SetupError(message)


def shown(url: str) -> str:
    """Return the URL without its password, for messages."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
