"""The JSON of a forecast: why a job waits, which node is nearest, when the job may start, what would help; in whole units."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from scheduler.explain.explanation_json import (
    ChangeView,
    NearestView,
    NeverView,
    NodeName,
    ReasonView,
    ReservationView,
    SubmitWarning,
    WaitDocument,
)
from scheduler.explain.forecast import Forecast
from scheduler.explain.words import FORBIDDEN, NEVER
from scheduler.jobs.admission import UnplaceableJobs, sentence
from scheduler.rules.cluster.reasons import NO_NODES, Reason
from scheduler.rules.explain import wording
from scheduler.rules.explain.answer import Fix, FixKind, NearestNode
from scheduler.rules.explain.wording import ReasonNames, slug

_OTHERS = (Reason.NEXT, Reason.BEHIND)
_UNITS = (FixKind.ASK_LESS, FixKind.RAISE_QUOTA)


def reasons(forecast: Forecast, names: ReasonNames, pool: str | None) -> list[ReasonView]:
    """Return the reasons why a job waits, the most important first; there is always one.

    Each has `kind`, `description`, and the number of `nodes` that give this reason (null for a reason that no node gives).
    """
    found = list(_reasons(forecast, names, pool))
    if not found and forecast.never is not None:
        return [reason(NEVER, wording.never_fits(forecast.never, pool))]
    return found or [reason(NO_NODES, wording.none_yet(pool))]


def reason(kind: str, sentence: str, nodes: int | None = None) -> ReasonView:
    """Return one reason."""
    return {"kind": kind, "description": sentence, "nodes": nodes}


def document(forecast: Forecast, names: ReasonNames, pool: str | None) -> WaitDocument:
    """Return all that is known of a waiting job's future, with the field names of the API."""
    explanation = forecast.explanation
    return {
        "reasons": reasons(forecast, names, pool),
        "nodes": {
            "total": forecast.nodes,
            "usable": explanation.usable,
            "failing": {slug(kind): count for kind, count in explanation.nodes.items()},
            "short_of": dict(explanation.short_of),
            "unmet": dict(explanation.unmet),
        },
        "nearest": None if explanation.nearest is None else _nearest(explanation.nearest),
        "queue": {"position": explanation.position, "ahead": explanation.ahead},
        "share": {
            "project": names.project,
            "share": explanation.project_share,
            "projects_ahead": explanation.project_rank,
        },
        "reservation": _reservation(forecast),
        "expected_start": {"earliest": _moment(explanation.earliest), "latest": _moment(explanation.latest)},
        "changes": [] if explanation.main is Reason.NEXT else [_change(one, names) for one in explanation.fixes],
        "never_fits": _never(forecast, pool),
    }


def warning(found: UnplaceableJobs) -> SubmitWarning:
    """Return the warning for submitted jobs that no node could ever hold, or that their project's quota never allows."""
    nearest = None if isinstance(found.why, str) else found.why.nearest
    return {
        "entry": found.first,
        "count": found.count,
        "kind": FORBIDDEN if isinstance(found.why, str) else NEVER,
        "description": sentence(found),
        "nearest": None if nearest is None else _nearest(nearest),
    }


def _reasons(forecast: Forecast, names: ReasonNames, pool: str | None) -> Iterator[ReasonView]:
    explanation = forecast.explanation
    for found in explanation.blockers:
        yield reason(slug(found.reason), wording.blocker(found, names))
    if forecast.never is not None:
        nearest = forecast.never.nearest
        if forecast.never.fitting:
            yield reason(NEVER, wording.never_fits(forecast.never, pool))
        elif nearest is None:
            yield reason(NO_NODES, wording.never_fits(forecast.never, pool))
        elif Reason.TOO_SMALL in nearest.reasons:
            yield reason(
                slug(Reason.TOO_SMALL),
                wording.never_fits(forecast.never, pool),
                explanation.nodes.get(Reason.TOO_SMALL, 0),
            )
    if explanation.usable == 0 or explanation.main is Reason.GANG:
        yield from _of_nodes(forecast)
    elif not explanation.blockers:
        main = explanation.main if explanation.main in _OTHERS else Reason.BEHIND
        yield reason(slug(main), wording.behind_others(explanation))


def _of_nodes(forecast: Forecast) -> Iterator[ReasonView]:
    """Yield the reasons that nodes have, the main one first, then by how many have them."""
    explanation = forecast.explanation
    closest = forecast.never.nearest if forecast.never is not None else None
    said = Reason.TOO_SMALL if closest is not None and Reason.TOO_SMALL in closest.reasons else None
    counts = dict(explanation.nodes)
    if explanation.main is Reason.GANG:
        yield reason(slug(Reason.GANG), wording.gang(explanation), explanation.usable)
    for kind in sorted(counts, key=lambda kind: (kind is not explanation.main, -counts[kind])):
        if kind is not said:
            yield reason(slug(kind), wording.nodes(kind, counts[kind], explanation, forecast.nodes), counts[kind])


def _nearest(found: NearestNode) -> NearestView:
    return {
        "node": {"id": found.node_id, "name": found.name} if found.name else None,
        "reasons": [slug(one) for one in found.reasons],
        "missing": {name: amount / 1000 for name, amount in found.missing.items()},
        "description": wording.nearest_node(found),
    }


def _reservation(forecast: Forecast) -> ReservationView | None:
    explanation = forecast.explanation
    if not explanation.reserved:
        return None
    there: list[NodeName] = [
        {"id": node_id, "name": forecast.names.get(node_id, str(node_id))} for node_id in explanation.reserved
    ]
    return {"nodes": there, "start": _moment(explanation.earliest)}


def _change(found: Fix, names: ReasonNames) -> ChangeView:
    to: float | datetime | None = found.to
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


def _never(forecast: Forecast, pool: str | None) -> NeverView | None:
    if forecast.never is None:
        return None
    nearest = forecast.never.nearest
    return {
        "description": wording.never_fits(forecast.never, pool),
        "failing": {slug(kind): count for kind, count in forecast.never.nodes.items()},
        "nearest": None if nearest is None else _nearest(nearest),
    }


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
