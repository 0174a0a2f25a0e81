"""Seed: writes the rows that every installation needs: the built-in errors, job type and workspace."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from scheduler.jobs.resolve import AD_HOC
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.lifecycle.failures import BUILT_IN
from scheduler.store.admin import errors, job_types, workspaces
from scheduler.store.admin.job_types import NewJobType

LOCAL_WORKSPACE = "local"

_AD_HOC_TYPE = NewJobType(
    *AD_HOC, title="Command", description="Commands that were submitted without a job type.", is_system=True
)


def seed(db: Engine, *, files_dir: Path | None) -> None:
    """Write the rows that are missing, and update the built-in errors to this release. One transaction; safe to repeat."""
    with db.begin() as tx:
        errors.seed(tx, BUILT_IN)
        job_types.insert(tx, _AD_HOC_TYPE, Definition().document())
        if files_dir is not None:
            workspaces.seed(tx, LOCAL_WORKSPACE, files_dir.resolve().as_uri())
