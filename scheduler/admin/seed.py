"""Seed: writes the rows that every installation needs: the built-in errors, job types and workspace."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from scheduler.data_sets import job_types as data_set_types
from scheduler.jobs.resolve import AD_HOC
from scheduler.rules.job_type.definition import Definition
from scheduler.rules.lifecycle.failures import BUILT_IN
from scheduler.store.admin import errors, job_types, workspaces
from scheduler.store.admin.job_types import NewJobType

LOCAL_WORKSPACE = "local"

_AD_HOC_TYPE = NewJobType(
    *AD_HOC, title="Command", description="Commands that were submitted without a job type.", is_system=True
)


def seed(db: Engine, *, files_dir: Path | None, block_models: str | None = None) -> None:
    """Write the rows that are missing, and update the built-in errors and types to this release. One transaction; safe to repeat.

    `block_models` is the program that works on block models, which this package does not know; None leaves its types alone.
    """
    with db.begin() as tx:
        errors.seed(tx, BUILT_IN)
        job_types.insert(tx, _AD_HOC_TYPE, Definition().document())
        if block_models is not None:
            data_set_types.seed(tx, block_models)
        if files_dir is not None:
            workspaces.seed(tx, LOCAL_WORKSPACE, files_dir.resolve().as_uri())
