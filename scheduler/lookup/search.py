"""Finds things by what somebody types."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.lookup import searching
from scheduler.store.lookup.searching import FoundEntry

MOST = 8
"""Of each kind."""


def search(rt: Runtime, caller: Caller, q: str) -> Sequence[FoundEntry]:
    """Return jobs by id or name, and job types, nodes, pools and projects by the beginning of their names; eight of each kind."""
    prefix = re.sub(r"([%_\\])", r"\\\1", q) + "%"
    number = int(q) if q.isascii() and q.isdigit() and len(q) < 19 else -1  # noqa: PLR2004 - digits of a 64-bit number
    with rt.db.begin() as tx:
        return searching.search(tx, q, prefix, number, bound=caller.project_id, most=MOST)
