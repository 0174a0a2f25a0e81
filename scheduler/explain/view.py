"""The JSON of a forecast: why a job waits, which node is nearest, when the job may start, what would help; in whole units."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from scheduler.explain.forecast import Forecast
from scheduler.jobs.submit import UnplaceableJobs, sentence
from scheduler.rules.cluster.reasons import NO_NODES, Reason
from scheduler.rules.explain import wording
from scheduler.rules.explain.answer import Fix, FixKind, NearestNode
from scheduler.rules.explain.wording import Names, slug

NEVER = "never-fits"
FORBIDDEN = "never-allowed"
_OTHERS = (Reason.NEXT, Reason.BEHIND)
_UNITS = (FixKind.ASK_LESS, FixKind.RAISE_QUOTA)


def reasons(seen: Forecast, names: Names, pool: str | None) -> list[dict[str, Any]]:
    """Return the reasons why a job waits, the most important first; there is always one.

    Each has `kind`, `description`, and the number of `nodes` that give this reason (null for a reason that no node gives).
    """
    found = list(_reasons(seen, names, pool))
    if not found and seen.never is not None:
        return [reason(NEVER, wording.never_fits(seen.never, pool))]
    return found or [reason(NO_NODES, wording.none_yet(pool))]


def reason(kind: str, sentence: str, nodes: int | None = None) -> dict[str, Any]:
    """Return one reason."""
    return {"kind": kind, "description": sentence, "nodes": nodes}


def document(seen: Forecast, names: Names, pool: str | None) -> dict[str, Any]:
    """Return all that is known of a waiting job's future, with the field names of the API."""
    told = seen.told
    return {
        "reasons": reasons(seen, names, pool),
        "nodes": {
            "total": seen.nodes,
            "usable": told.usable,
            "failing": {slug(kind): count for kind, count in told.nodes.items()},
            "short_of": dict(told.short_of),
            "unmet": dict(told.unmet),
        },
        "nearest": None if told.nearest is None else _nearest(told.nearest),
        "queue": {"position": told.position, "ahead": told.ahead},
        "share": {"project": names.project, "share": told.project_share, "projects_ahead": told.project_rank},
        "reservation": _reservation(seen),
        "expected_start": {"earliest": _moment(told.earliest), "latest": _moment(told.latest)},
        "changes": [] if told.main is Reason.NEXT else [_change(one, names) for one in told.fixes],
        "never_fits": _never(seen, pool),
    }


def warning(found: UnplaceableJobs) -> dict[str, Any]:
    """Return the warning for submitted jobs that no node could ever hold, or that their project's quota never allows."""
    nearest = None if isinstance(found.why, str) else found.why.nearest
    return {
        "entry": found.first,
        "count": found.count,
        "kind": FORBIDDEN if isinstance(found.why, str) else NEVER,
        "description": sentence(found),
        "nearest": None if nearest is None else _nearest(nearest),
    }


def _reasons(seen: Forecast, names: Names, pool: str | None) -> Iterator[dict[str, Any]]:
    told = seen.told
    for found in told.blockers:
        yield reason(slug(found.reason), wording.blocker(found, names))
    if seen.never is not None:
        nearest = seen.never.nearest
        if seen.never.fitting:
            yield reason(NEVER, wording.never_fits(seen.never, pool))
        elif nearest is None:
            yield reason(NO_NODES, wording.never_fits(seen.never, pool))
        elif Reason.TOO_SMALL in nearest.reasons:
            yield reason(
                slug(Reason.TOO_SMALL), wording.never_fits(seen.never, pool), told.nodes.get(Reason.TOO_SMALL, 0)
            )
    if told.usable == 0 or told.main is Reason.GANG:
        yield from _of_nodes(seen)
    elif not told.blockers:
        main = told.main if told.main in _OTHERS else Reason.BEHIND
        yield reason(slug(main), wording.behind_others(told))


def _of_nodes(seen: Forecast) -> Iterator[dict[str, Any]]:
    """Yield the reasons that nodes have, the main one first, then by how many have them."""
    told = seen.told
    closest = seen.never.nearest if seen.never is not None else None
    said = Reason.TOO_SMALL if closest is not None and Reason.TOO_SMALL in closest.reasons else None
    counts = dict(told.nodes)
    if told.main is Reason.GANG:
        yield reason(slug(Reason.GANG), wording.gang(told), told.usable)
    for kind in sorted(counts, key=lambda kind: (kind is not told.main, -counts[kind])):
        if kind is not said:
            yield reason(slug(kind), wording.nodes(kind, counts[kind], told, seen.nodes), counts[kind])


def _nearest(found: NearestNode) -> dict[str, Any]:
    return {
        "node": {"id": found.node_id, "name": found.name} if found.name else None,
        "reasons": [slug(one) for one in found.reasons],
        "missing": {name: amount / 1000 for name, amount in found.missing.items()},
        "description": wording.nearest_node(found),
    }


def _reservation(seen: Forecast) -> dict[str, Any] | None:
    told = seen.told
    if not told.reserved:
        return None
    there = [{"id": node_id, "name": seen.names.get(node_id, str(node_id))} for node_id in told.reserved]
    return {"nodes": there, "start": _moment(told.earliest)}


def _change(found: Fix, names: Names) -> dict[str, Any]:
    to: Any = found.to
    if found.kind is FixKind.WAIT_UNTIL:
        to = _moment(found.to)
    elif found.to is not None and found.kind in _UNITS and found.subject != "jobs":
        to = found.to / 1000
    subject = {
        FixKind.RESUME_PROJECT: names.project,
        FixKind.RESUME_TYPE: names.job_type,
        FixKind.RAISE_TYPE_LIMIT: names.job_type,
    }
    return {
        "fix": slug(found.kind),
        "subject": subject.get(found.kind, found.subject),
        "to": to,
        "description": wording.fix(found, names),
    }


def _never(seen: Forecast, pool: str | None) -> dict[str, Any] | None:
    if seen.never is None:
        return None
    nearest = seen.never.nearest
    return {
        "description": wording.never_fits(seen.never, pool),
        "failing": {slug(kind): count for kind, count in seen.never.nodes.items()},
        "nearest": None if nearest is None else _nearest(nearest),
    }


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
