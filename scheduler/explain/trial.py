"""Changes that would let a job start, tried: what would become of it if they were made. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scheduler.errors import Conflict, InvalidInput
from scheduler.explain import dry_run
from scheduler.explain.explanation_json import TriedView
from scheduler.explain.forecast import Forecaster
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import queries
from scheduler.rules.explain.answer import Fix
from scheduler.rules.explain.trial import WAITS
from scheduler.rules.explain.wording import slug
from scheduler.runtime import Runtime
from scheduler.store.jobs import explain_facts, preemptions


class FixName(NamedTuple):
    """A change as the explanation of the job names it."""

    fix: str
    subject: str


def tried(rt: Runtime, forecaster: Forecaster, caller: Caller, job_id: JobId, chosen: Sequence[FixName]) -> TriedView:
    """Return what the next tick would do with a waiting job once these changes were made; none named: all that explain names.

    Raises NotFound, Conflict for a job that does not wait to be placed, and InvalidInput for a change that explain does not name now,
    or that cannot be made.
    """
    with rt.db.begin() as tx:
        queries.one_job(tx, caller, job_id)
        row = explain_facts.facts(tx, job_id)
    forecast = forecaster.after_changes(job_id, lambda known: _named(known, row, chosen))
    if forecast is None:
        raise Conflict(f"job {job_id} does not wait to be placed; it is {row.status}")
    with rt.db.begin() as tx:
        stopped = preemptions.jobs_of(tx, forecast.stops) if forecast.stops else {}
    return dry_run.document(0, forecast, row, row.pool, stopped)


def _named(known: Sequence[Fix], row: explain_facts.JobFacts, chosen: Sequence[FixName]) -> list[Fix]:
    by_name = {FixName(slug(one.kind), one.subject): one for one in known if one.kind not in WAITS}
    # In explanations these have the names that people know them by.
    for name, one in list(by_name.items()):
        for subject in ("", row.project, f"{row.type_name} {row.type_version}"):
            by_name.setdefault(FixName(name.fix, subject), one)
    if not chosen:
        return list(dict.fromkeys(by_name.values()))
    found = []
    for name in chosen:
        if name not in by_name:
            says = ", ".join(dict.fromkeys(one.fix for one in by_name)) or "nothing that could be changed"
            raise InvalidInput(
                f"{name.fix} {name.subject}".rstrip() + f" is not what would help now; explain names {says}",
                field="changes",
            )
        found.append(by_name[name])
    return found
