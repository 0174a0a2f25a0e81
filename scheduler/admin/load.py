"""Load: pages of samples that say how much waited and ran in the past."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from scheduler.errors import InvalidInput
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.leader import load_samples
from scheduler.store.leader.load_samples import LoadFilter, LoadSample
from scheduler.store.paging import PageWindow, RowPage

MAX_RANGE = timedelta(days=31)
DEFAULT_RANGE = timedelta(days=7)
GRACE = timedelta(minutes=1)
"""Tolerance: a client counts 31 days back from a moment before this one."""


def page(rt: Runtime, caller: Caller, chosen: LoadFilter, window: PageWindow) -> RowPage[LoadSample]:
    """Return one page of samples, by default since midnight (UTC) seven days ago. Raises InvalidInput over 31 days."""
    now = rt.now()
    started = chosen.started or (now - DEFAULT_RANGE).replace(hour=0, minute=0, second=0, microsecond=0)
    if (chosen.ended or now) - started > MAX_RANGE + GRACE:
        raise InvalidInput("the range may have at most 31 days", field="started")
    bound = replace(chosen, started=started, project_id=caller.project_id)
    with rt.db.begin() as tx:
        return paging.read(tx, load_samples.SAMPLES, load_samples.condition(bound), window)
