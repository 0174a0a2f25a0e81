"""Projects as the API shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast
from uuid import UUID

from api.http.projects.schema import ProjectView, QuotaView, RetentionView, SecretView
from api.http.schema.fields import units
from scheduler.documents import QuotaDocument
from scheduler.rules.lifecycle.retention import Retention
from scheduler.store.admin.projects import ProjectRow
from scheduler.store.admin.secrets import SecretEntry


def entry(row: ProjectRow, kept: Retention, organization: UUID) -> ProjectView:
    """Return a project, limits it does not have as null. `kept` is what projects keep that say nothing else."""
    return {
        "id": row.id,
        "uuid": row.uuid,
        "organization": organization,
        "name": row.name,
        "title": row.title,
        "weight": row.weight,
        "quota": _quota(row.quota),
        "retention": cast("RetentionView", asdict(kept.of_project(row.retention))),
        "demands": {"isolation": row.demands.get("isolation"), "registries": row.demands.get("registries")},
        "is_paused": row.is_paused,
        "pause_reason": row.pause_reason,
        "secret_types": row.secret_types,
        "usage": round(row.share or 0.0, 6),
        "lag_s": round(row.lag_s or 0.0, 1),
        "created": row.created,
        "last_modified": row.last_modified,
    }


def secret(row: SecretEntry) -> SecretView:
    """Return what may be known of a secret."""
    return {"name": row.name, "created": row.created, "last_modified": row.last_modified}


def _quota(quota: QuotaDocument) -> QuotaView:
    cpus, mem = quota.get("cpus"), quota.get("mem")
    return {
        "queued_jobs": quota.get("queued_jobs"),
        "jobs": quota.get("jobs"),
        "cpus": None if cpus is None else units(cpus),
        "mem": None if mem is None else units(mem),
    }
