"""One file a page, or a few pages about one noun."""

from __future__ import annotations

from collections.abc import Sequence

from api.ui.pages import PageRoute
from api.ui.rooms import job, job_acts, job_list, login, me, nodes, nowhere, overview, pools

ALL: Sequence[PageRoute] = [
    route for room in (login, overview, job_list, job, job_acts, nodes, pools, me, nowhere) for route in room.pages.all
]
"""Every page; the last one answers for all addresses that are none."""
