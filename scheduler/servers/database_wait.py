"""The wait of a role for its database: it may start before the database is up, or before the schema is there, and says why it waits."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import errors
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from scheduler.events import DATABASE_AWAITED, DATABASE_READY
from scheduler.log import log

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_LINE_EVERY_S = 60.0

_NO_SCHEMA = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction, errors.UndefinedObject)

Pause = Callable[[float], bool]
"""Waits so many seconds; returns True if the process was asked to end meanwhile."""


def prepare_when_ready(
    prepare: Callable[[], None], pause: Pause | None = None, monotonic: Callable[[], float] = time.monotonic
) -> bool:
    """Call `prepare` until the database lets it succeed; return False if the process was asked to end before.

    The first failure is logged at once, later ones once a minute, each with the database's own reason.
    """
    if pause is None:
        with _stop_signals() as stopped:
            return prepare_when_ready(prepare, stopped.wait, monotonic)
    rest_s, failures, logged_at = _FIRST_PAUSE_S, 0, -_LINE_EVERY_S
    while True:
        try:
            prepare()
        except (OperationalError, ProgrammingError) as error:
            failures += 1
            if failures == 1 or monotonic() - logged_at >= _LINE_EVERY_S:
                logged_at = monotonic()
                log.warning(DATABASE_AWAITED, reason=reason_of(error), failures=failures)
        else:
            if failures:
                log.info(DATABASE_READY, failures=failures)
            return True
        if pause(rest_s):
            return False
        rest_s = min(rest_s * 2, _LONGEST_PAUSE_S)


def reason_of(error: DBAPIError) -> str:
    """Return one line that says what is wrong: without statement, without password."""
    words = str(error.orig).strip().partition("\n")[0]
    if isinstance(error.orig, _NO_SCHEMA):
        return f"the schema is not that of this release ({words}); `ganger setup` makes it"
    return words


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Within it SIGTERM and SIGINT set the event that it yields."""
    stopped = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
