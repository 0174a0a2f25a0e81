"""The head of the queue and the balance of projects as the API shows them."""

from __future__ import annotations

from api.http.jobs import view
from api.http.queue.schema import BalanceCourseView, BalanceEntry, QueueHeadEntry
from scheduler.explain.queue_order import HeadJob, ProjectBalance, ProjectCourse
from scheduler.store.jobs.listing import JobRow


def head(found: HeadJob, row: JobRow) -> QueueHeadEntry:
    """Return one of the next jobs."""
    return {
        "position": found.place,
        "job": view.entry(row),
        "would": found.would,
        "nodes": [{"id": node_id, "name": name} for node_id, name in found.nodes],
        "start": found.start,
        "reason": found.reason,
    }


def balance(found: ProjectBalance) -> BalanceEntry:
    """Return how one project stands."""
    one = found.standing
    return {
        "project": found.name,
        "weight": one.weight,
        "share": one.share,
        "owed_s": found.owed_s,
        "credit": one.credit,
        "ahead": found.ahead,
        "waiting": one.waiting,
        "executions": one.executions,
    }


def course(found: ProjectCourse) -> BalanceCourseView:
    """Return how one project stood over time."""
    return {
        "project": found.name,
        "points": [{"time": one.at, "share": one.share, "owed_s": one.owed_s} for one in found.points],
    }
