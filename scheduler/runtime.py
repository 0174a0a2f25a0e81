"""The runtime: every verb gets it first. It holds the database, the clock, the source of chance and the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
from sqlalchemy import Engine, create_engine, event

from scheduler.keyring import NO_KEYS, Keyring
from scheduler.servers import database_address
from scheduler.settings import Settings
from scheduler.store import array_texts
from scheduler.store.leader.wake import VANISHED

SAFE_OPTIONS = (
    "-c statement_timeout={statement_ms} -c lock_timeout={lock_ms} "
    "-c idle_in_transaction_session_timeout=10000 -c timezone=UTC -c plan_cache_mode=force_custom_plan"
)
# Custom plans only: a generic plan made while a table was small is how a batch of ten once scanned everything. Sessions that keep
# their plans may choose neither a scan nor a join that reads a table whole, nor an order of joins: they look up keys, one after the
# other, as a statement is written. Left to itself, a plan from an installation's first minute began with all jobs of all projects.
KEPT_PLANS = (
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off "
    "-c join_collapse_limit=1 -c jit=off"
)

_IN_TRANSACTIONS = "READ COMMITTED"


def no_nudge(_topic: str) -> None:
    """Wake nobody: the loops find out when they poll next."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that verbs use of the world. `now` and `chance` are the only clock and dice; tests pass their own.

    `keyring` opens the secrets of projects: only the API's keyring has keys.
    `nudge(topic)` wakes a loop after a commit; a nudge may be lost, may be merged with others, or may do nothing.
    """

    db: Engine
    settings: Settings
    now: Callable[[], datetime]
    chance: Callable[[], float]
    nudge: Callable[[str], None] = field(default=no_nudge)
    keyring: Keyring = field(default=NO_KEYS)
    keeps_plans: Engine | None = None

    @property
    def keyed(self) -> Engine:
        """The database for statements that find a few rows by their keys, each a transaction of its own.

        Its sessions, where this process has such, keep their plans, which always go by an index: so no statistics can mislead them.
        """
        return self.keeps_plans or self.db.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def moves(self) -> Engine:
        """The database for transactions that move a few rows by their keys, in sessions that keep their plans as those of `keyed` do.

        Each check of a foreign key is planned once there, and not once a row.
        """
        return (
            self.db
            if self.keeps_plans is None
            else self.keeps_plans.execution_options(isolation_level=_IN_TRANSACTIONS)
        )

    def ring(self, nodes: Iterable[str]) -> None:
        """Ask these nodes for a heartbeat now, whose answer says what to stop. Call it after the commit: before, there is no news."""
        for name in nodes:
            self.nudge(f"node:{name}")


def connect(
    url: str,
    settings: Settings,
    *,
    pool_size: int = 10,
    more: int | None = None,
    name: str = "ganger",
    keeps_plans: bool = False,
) -> Engine:
    """Return an engine whose connections carry our time limits; it does not connect yet. Raises SetupError for an unusable address.

    With `keeps_plans` it is one for `Runtime.keyed`: each statement commits by itself.
    """
    more_options = {"isolation_level": "AUTOCOMMIT"} if keeps_plans else {}
    engine = create_engine(
        database_address.read(url),
        pool_size=pool_size,
        max_overflow=pool_size if more is None else more,
        pool_recycle=1800,
        pool_use_lifo=True,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # parameters of jobs may be confidential
        **more_options,
    )
    options = SAFE_OPTIONS.format(
        statement_ms=int(settings.statement_timeout_s * 1000), lock_ms=int(settings.lock_timeout_s * 1000)
    )
    if keeps_plans:
        options = f"{options} {KEPT_PLANS}"

    @event.listens_for(engine, "do_connect")
    def _set(_dialect: object, _record: object, _args: object, parameters: dict[str, object]) -> None:
        parameters.setdefault("application_name", name)
        parameters["options"] = f"{parameters.get('options', '')} {options}".strip()  # ours stand last, and count
        for option, value in {"connect_timeout": 5, **VANISHED}.items():
            parameters.setdefault(option, value)

    event.listen(engine, "connect", lambda connection, _: array_texts.register(connection))
    return engine


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)
