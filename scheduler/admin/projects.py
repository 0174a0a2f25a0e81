"""Administers projects (tenants): their shares of the machines and their limits."""

from __future__ import annotations

from typing import TypedDict, cast
from uuid import UUID

from scheduler.admin.pauses import reason_to_keep
from scheduler.documents import DemandsDocument, Document, QuotaDocument, RetentionDocument
from scheduler.errors import Conflict, Forbidden, NotFound
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.jobs import bulk
from scheduler.jobs.submit import DEFAULT_PROJECT
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit, projects
from scheduler.store.admin.projects import LockedProject, NamedProject, NewProject, ProjectRow
from scheduler.store.jobs.listing import JobFilter
from scheduler.store.lookup import unanswered
from scheduler.store.paging import PageWindow, RowCondition, RowPage


class QuotaChanges(TypedDict, total=False):
    """Changes of a quota; None removes a limit."""

    cpus: int | None
    mem: int | None
    jobs: int | None
    queued_jobs: int | None


class RetentionChanges(TypedDict, total=False):
    """Changes of what a project keeps; None is what the installation keeps, 0 is for ever."""

    completed_days: int | None
    failed_days: int | None
    canceled_days: int | None
    jobs: int | None
    output_days: int | None
    output_bytes: int | None
    files_days: int | None
    files_bytes: int | None


class DemandChanges(TypedDict, total=False):
    """Changes of what a project demands; None demands nothing."""

    isolation: str | None
    registries: list[str] | None


class ProjectChanges(TypedDict, total=False):
    """The fields of a project that can be changed."""

    title: str
    weight: float
    is_paused: bool
    pause_reason: str | None
    quota: QuotaChanges
    retention: RetentionChanges
    demands: DemandChanges
    secret_types: list[str]
    attributes: Document


OF_ONE_PROJECT = frozenset({"title", "secret_types", "attributes"})
"""What an admin of one project may change of it; the rest concerns the others too."""


def create(rt: Runtime, caller: Caller, new: NewProject, digest: str | None = None) -> ProjectId:
    """Create a project and return its id. Raises Conflict for a name that is taken.

    `digest` tells what was sent for it, where a client may send it again: see `scheduler.lookup.repeats`.
    """
    with rt.db.begin() as tx:
        made = projects.insert(tx, new, caller.name)
        if made is None:
            raise Conflict(f"there is a project {new['name']!r} already", field="name")
        if digest is not None:
            unanswered.write(tx, "project", made, digest)
        detail = {name: value for name, value in new.items() if name != "attributes"}
        audit.write(tx, caller.name, "project.create", f"project:{new['name']}", detail=detail)
    rt.nudge("tick")
    return made


def change(rt: Runtime, caller: Caller, name: str, facts: ProjectChanges) -> None:
    """Change a project; of its quota, retention, demands and attributes only what is given changes, and of limits None removes one.

    Raises NotFound, InvalidInput; Forbidden for what a caller of one project may not change of it.
    """
    if caller.project not in {None, name}:
        raise NotFound(f"there is no project {name!r}")
    beyond = sorted(facts.keys() - OF_ONE_PROJECT) if caller.project is not None else []
    if beyond:
        raise Forbidden(f"{beyond[0]} concerns every project; the token is bound to one", field=beyond[0])
    with rt.db.begin() as tx:
        row = projects.lock(tx, name)
        if row is None:
            raise NotFound(f"there is no project {name!r}")
        quota = {**row.quota, **facts.get("quota", {})}
        kept = cast("QuotaDocument", {kind: most for kind, most in quota.items() if most is not None})
        retention = {**row.retention, **facts.get("retention", {})}
        limits = cast("RetentionDocument", {kind: most for kind, most in retention.items() if most is not None})
        demanded = {**row.demands, **facts.get("demands", {})}
        demands = cast("DemandsDocument", {name: what for name, what in demanded.items() if what is not None})
        title, weight = facts.get("title", row.title), facts.get("weight", row.weight)
        is_paused, given = facts.get("is_paused", row.is_paused), facts.get("pause_reason")
        reason = reason_to_keep(
            is_paused=is_paused,
            reason=facts.get("pause_reason", row.pause_reason),
            given=given,
            subject="a project",
        )
        secret_types = sorted(set(facts.get("secret_types", row.secret_types)))
        attributes = {**row.attributes, **facts.get("attributes", {})}
        projects.update(
            tx, LockedProject(row.id, title, weight, kept, limits, demands, is_paused, reason, secret_types, attributes)
        )
        told = {**facts, "attributes": sorted(facts["attributes"])} if "attributes" in facts else dict(facts)
        audit.write(tx, caller.name, "project.change", f"project:{name}", reason=facts.get("pause_reason"), detail=told)
    rt.nudge("tick")


def delete(rt: Runtime, caller: Caller, name: str) -> None:
    """Delete a project that owns nothing. Raises NotFound, and Conflict that says what it still owns."""
    if name == DEFAULT_PROJECT:
        raise Conflict("the default project stays")
    with rt.db.begin() as tx:
        row = projects.lock(tx, name)
        if row is None:
            raise NotFound(f"there is no project {name!r}")
        if projects.live_tokens(tx, row.id):
            raise Conflict("tokens are bound to the project: revoke them first")
        if not projects.delete(tx, row.id):
            raise Conflict("jobs, job types, files or other history belong to the project; pause it instead")
        audit.write(tx, caller.name, "project.delete", f"project:{name}")
    rt.nudge("tick")


def discard(rt: Runtime, caller: Caller, name: str) -> None:
    """Delete a project with all that it has. Raises NotFound, and Conflict for the default project.

    Nothing of it is seen any more when this returns, and its tokens are revoked; its jobs are cancelled by an operation that
    follows, and rows and files go with the sweeps.
    """
    if name == DEFAULT_PROJECT:
        raise Conflict("the default project stays")
    with rt.db.begin() as tx:
        row = projects.lock(tx, name)
        renamed = None if row is None else projects.hide(tx, row.id)
        if renamed is None:
            raise NotFound(f"there is no project {name!r}")
        audit.write(tx, caller.name, "project.discard", f"project:{name}", detail={"renamed": renamed})
    bulk.begin(rt, caller, "cancel", JobFilter(project=(renamed,)), everything=False, reason="deleted")


def page(rt: Runtime, condition: RowCondition, window: PageWindow) -> RowPage[ProjectRow]:
    """Return one page of projects."""
    with rt.db.begin() as tx:
        return paging.read(tx, projects.PROJECTS, condition, window)


def by_uuid(rt: Runtime, caller: Caller, uuid: UUID) -> NamedProject | None:
    """Return a project by its UUID; None for one that is not there, or that the caller may not see."""
    with rt.db.begin() as tx:
        found = projects.by_uuid(tx, uuid)
    return found if found is not None and caller.project_id in {None, found.id} else None


def get(rt: Runtime, caller: Caller, name: str) -> ProjectRow:
    """Return one project's row; raises NotFound, also for a project that the caller may not see."""
    condition = projects.condition((name,), is_paused=None, project_id=caller.project_id)
    rows = page(rt, condition, PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no project {name!r}")
    return rows[0]
