"""What each project keeps at this moment: the installation's limits, a project's own in their place, as cut-offs in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from scheduler.documents import RetentionDocument
from scheduler.rules.lifecycle import retention
from scheduler.rules.lifecycle.retention import LIMITS, Retention, RetentionCutoffs
from scheduler.runtime import Runtime
from scheduler.settings import Settings
from scheduler.store.retention import due
from scheduler.store.retention.due import RetainingProject


def of_installation(settings: Settings) -> Retention:
    """Return what projects keep that say nothing else."""
    return Retention(**{name: getattr(settings, f"keep_{name}") for name in LIMITS})


def of_project(settings: Settings, document: RetentionDocument) -> Retention:
    """Return what a project keeps that says this."""
    return of_installation(settings).of_project(document)


def cutoffs(tx: Connection, rt: Runtime, project: RetainingProject) -> RetentionCutoffs:
    """Return the cut-offs of a project's jobs and their output now."""
    if project.is_deleted:
        return retention.everything(rt.now())
    kept = of_project(rt.settings, project.retention)
    due.take_time(tx)
    newest = due.oldest_of_newest(tx, project.id, kept.jobs) if kept.jobs else None
    output = due.output_within(tx, project.id, kept.output_bytes) if kept.output_bytes else None
    return retention.cutoffs(kept, rt.now(), newest, output)


def data_sets_cutoff(rt: Runtime, project: RetainingProject) -> datetime | None:
    """Return the moment before which a data set must have been deleted to go for good now; None where they are kept."""
    days = rt.settings.keep_deleted_data_sets_days
    if project.is_deleted:
        return rt.now()
    return rt.now() - timedelta(days=days) if days else None


def files_cutoff(tx: Connection, rt: Runtime, project: RetainingProject) -> datetime | None:
    """Return the moment before which a project's output files are aged out now; None where they are kept."""
    if project.is_deleted:
        return rt.now()
    kept = of_project(rt.settings, project.retention)
    due.take_time(tx)
    oldest = due.files_within(tx, project.id, kept.files_bytes) if kept.files_bytes else None
    return retention.files_cutoff(kept, rt.now(), oldest)
