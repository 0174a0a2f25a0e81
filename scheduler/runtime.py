"""What every verb receives first: the database, a clock, a source of chance, the settings, and who to nudge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
from sqlalchemy import URL, Engine, create_engine, event, make_url

from scheduler.keyring import NO_KEYS, Keyring
from scheduler.settings import Settings
from scheduler.store.leader.wake import VANISHED

SAFE_OPTIONS = (
    "-c statement_timeout={statement_ms} -c lock_timeout={lock_ms} "
    "-c idle_in_transaction_session_timeout=10000 -c timezone=UTC -c plan_cache_mode=force_custom_plan"
)
# Custom plans only: a generic plan made while a table was small is how a batch of ten once scanned everything.


def no_nudge(_topic: str) -> None:
    """Nudge nobody; the loops find out when they next poll."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The world as verbs see it. `now` and `chance` are the only clock and dice of a process; tests pass their own.

    `keyring` opens the secrets of projects: only the API's has keys.
    `nudge(topic)` wakes a sleeping loop after a commit; it may be lost, coalesced or do nothing.
    """

    db: Engine
    settings: Settings
    now: Callable[[], datetime]
    chance: Callable[[], float]
    nudge: Callable[[str], None] = field(default=no_nudge)
    keyring: Keyring = field(default=NO_KEYS)

    def ring(self, nodes: Iterable[str]) -> None:
        """Have these nodes ask at once what they must stop; only after the commit, for before it they would hear nothing."""
        for name in nodes:
            self.nudge(f"node:{name}")


def connect(url: str, settings: Settings, *, pool_size: int = 10, name: str = "ganger") -> Engine:
    """Return an engine whose connections carry our time limits; nothing is connected yet."""
    engine = create_engine(
        psycopg_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_recycle=1800,
        pool_use_lifo=True,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # what jobs are given belongs in no log
    )
    options = SAFE_OPTIONS.format(
        statement_ms=int(settings.statement_timeout_s * 1000), lock_ms=int(settings.lock_timeout_s * 1000)
    )

    @event.listens_for(engine, "do_connect")
    def _set(_dialect: object, _record: object, _args: object, parameters: dict[str, object]) -> None:
        parameters.setdefault("application_name", name)
        parameters["options"] = options
        for option, value in {"connect_timeout": 5, **VANISHED}.items():
            parameters.setdefault(option, value)

    return engine


def psycopg_url(url: str) -> URL:
    """Return the URL with the driver we use, whichever PostgreSQL spelling it came in."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername.startswith("postgres") else parsed


def utc_now() -> datetime:
    """Return the present, aware, in UTC."""
    return datetime.now(UTC)
