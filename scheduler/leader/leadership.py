"""Leadership: at most one scheduler process leads, under a term that only ever rises.

A candidate leads when it gets the database's advisory lock, or when the leader's counter has stood still for
`leader_s` by the candidate's own monotonic clock. A leader finds out that its term is over when it renews it, or when
it writes something that the term fences.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from scheduler.events import SCHEDULER_LEADS, SCHEDULER_STEPS_DOWN
from scheduler.identifiers import Term
from scheduler.log import log
from scheduler.runtime import Runtime
from scheduler.store.leader import lease


def check_schema(rt: Runtime) -> None:
    """Return if the database is up and has a leader's row. Raises what the database driver raises otherwise."""
    with rt.db.connect() as tx:
        lease.read(tx)


class Leadership:
    """This process's candidacy and its term. `term` and `step_down` are for any thread, all else for one."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float]) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._session: Connection | None = None
        self._term: Term | None = None
        self._seen: tuple[lease.LeaderRow, float] | None = None
        self._handing_over = threading.Lock()

    @property
    def term(self) -> Term | None:
        """The term under which this process leads, as far as it knows; None while it does not."""
        return self._term

    def take(self) -> Term | None:
        """Take the lead if it is free and return the new term, else None. The process leads from `begin` on."""
        session = self._session = self._session or self._rt.db.connect()
        try:
            with session.begin():
                seat = lease.read(session)
                if lease.try_lock(session) or self._stands_still(seat):
                    return lease.take_over(session, self._holder, seat)
        except Exception:
            self._session = None
            session.invalidate()
            session.close()
            raise
        return None

    def begin(self, term: Term) -> None:
        """Lead under a term that was taken; everything that a leader needs is ready now."""
        log.info(SCHEDULER_LEADS, term=term, holder=self._holder)
        self._term = term

    def renew(self, term: Term, status: str) -> None:
        """Give a sign of life with what operators see of the leader (JSON); step down if the term is over."""
        with self._rt.keyed.connect() as tx:
            still_leads = lease.beat(tx, term, status)
        if not still_leads:
            self.lose(term)

    def lose(self, term: Term) -> None:
        """Step down because another scheduler leads now."""
        self.step_down(term, "another scheduler took over")

    def step_down(self, term: Term | None, why: str) -> None:
        """Lead no more under this term; nothing happens if another thread noticed that before."""
        with self._handing_over:
            if term != self._term:
                return
            self._term = None
            session, self._session = self._session, None
        if session is not None:
            with suppress(DBAPIError), session.begin():
                lease.release(session)
            session.invalidate()  # ends the session, and with it the lock if it could not be given back
            session.close()
        if term is not None:
            log.info(SCHEDULER_STEPS_DOWN, term=term, why=why)

    def _stands_still(self, seat: lease.LeaderRow) -> bool:
        now = self._monotonic()
        if self._seen is None or self._seen[0] != seat:
            self._seen = (seat, now)
        return now - self._seen[1] >= self._rt.settings.leader_s
