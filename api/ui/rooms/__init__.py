"""One file a page, or a few pages about one noun."""

from __future__ import annotations

from collections.abc import Sequence

from api.ui.live import routes as live
from api.ui.pages import PageRoute
from api.ui.rooms import (
    errors,
    files,
    fixes,
    job,
    job_acts,
    job_list,
    job_logs,
    job_types,
    operations,
    overview,
    queue,
    submit,
    workflows,
)
from api.ui.rooms.account import administration, help_page, login, me, nowhere, projects, workspaces
from api.ui.rooms.fleet import nodes, pools
from api.ui.rooms.kept import data_sets, new_schedule, schedules, uploads

ROOMS = (
    live, login, overview, job_list, job, job_logs, fixes, uploads, job_acts, nodes, pools, queue, workflows, schedules, new_schedule, data_sets, job_types, errors, operations, submit, files, administration, projects, workspaces, me,
    help_page, nowhere,
)  # fmt: skip

ALL: Sequence[PageRoute] = [route for room in ROOMS for route in room.pages.all]
"""Every page; the last one answers for all addresses that are none."""
