"""The resolver: what ended settles the needs of its followers, and these are released, blocked, skipped or unblocked.

        a job ends ──► need_changes ──► settle its needs ──► judge the followers ──► move them ──┐
                            ▲                                                                     │
                            └───────────────── those that were blocked or skipped are parents too ┘

A move tells of itself in the same statement (`store.jobs.jobs`), so nothing that ended is ever missed, and a crash loses
nothing. Each round is a few statements for all that changed, whatever waits beside it. What a job's needs make of it is
a function of where its parents stand (`rules.lifecycle.needs`): a round that is repeated, or made by a leader whose term
is over, changes no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from scheduler.documents import JobResults
from scheduler.events import NEEDS_OVERLOOKED
from scheduler.identifiers import JobId, Term
from scheduler.log import log
from scheduler.needs.ready import ready
from scheduler.needs.renew import renew
from scheduler.resolver import orphans, release, spreading
from scheduler.resolver.orphans import CanceledOrphans
from scheduler.rules.lifecycle.moves import JobEvent, JobStatus
from scheduler.rules.lifecycle.needs import NeedVerdict, moves_by
from scheduler.runtime import Runtime
from scheduler.store.jobs import jobs
from scheduler.store.leader import lease
from scheduler.store.needs import changes, deadlines, plans, results, verdicts
from scheduler.store.needs.changes import JudgedJob
from scheduler.workflows import upkeep

RESOLVER = "scheduler"
"""The actor of its moves."""

_UNMET = "skipped: its conditions do not hold"
_REASONS = {JobEvent.SKIP: "skipped: it is not needed"}

_BATCH = 5_000
"""Most changes of one transaction: enough to be cheap, few enough not to hold locks for long."""

_ROUNDS = 200
"""Most rounds of one turn. A chain of blocked jobs goes on in the next turn, and placing is not kept waiting by it."""

_AT_ONCE = 20
"""Rounds of one transaction: what spreads along a chain needs a commit for twenty jobs, not for each."""


def resolve(rt: Runtime, term: Term | None = None) -> bool:
    """Work off what has changed; return whether some of it is left for the next turn.

    Each of its transactions is for some rounds. With a `term` that is over nothing is written.
    """
    for _ in range(_ROUNDS // _AT_ONCE):
        left = CanceledOrphans()
        try:
            with rt.db.begin() as tx:
                more, changed = _rounds(tx, term, left)
                of_workflows = upkeep.finish(tx, changed) if changed else []
        except _TermOverError:
            return False
        upkeep.stop_failed(rt, of_workflows)
        orphans.follow_up(rt, left)
        if left.is_full:
            return True
        if not more and not left.runs:
            return False
    return True


def sweep(rt: Runtime) -> int:
    """Look for jobs that the resolver has overlooked, and have it look at them; return how many there are.

    There should never be any: each find is an alarm.
    """
    with rt.db.begin() as tx:
        found = verdicts.overlooked(tx, _BATCH)
        changes.tell(tx, found)
    if found:
        log.error(NEEDS_OVERLOOKED, count=len(found), first=found[0])
        rt.nudge("tick")
    return len(found)


class _TermOverError(Exception):
    """Another scheduler has taken over; the transaction is undone."""


def _rounds(tx: Connection, term: Term | None, left: CanceledOrphans) -> tuple[bool, set[JobId]]:
    """Make some rounds; return whether there may be more to do, and all jobs that were told of."""
    told: set[JobId] = set()
    for number in range(_AT_ONCE):
        changed = changes.take(tx, _BATCH)
        if not changed:
            return False, told
        told.update(changed)
        if number == 0 and term is not None and not lease.fence(tx, term):
            raise _TermOverError
        orphans.close(tx, changed, left)
        met = sorted({*changes.settle(tx, changed), *changed})
        judge(tx, set(met[:_BATCH]))
        if left.is_full:
            changes.tell(tx, met[_BATCH:])
            return True, told
        if len(met) > _BATCH:
            # One parent may have 100,000 followers: the others are told, and judged by transactions of their own.
            changes.tell(tx, met[_BATCH:])
            return True, told
    return True, told


def judge(tx: Connection, ids: set[JobId]) -> None:
    """Move those of these jobs that their needs move now."""
    steps: dict[JobEvent, list[jobs.JobMove]] = {}
    again: list[JudgedJob] = []
    planned: set[JobId] = set()
    waiting: set[JobId] = set()
    for job in changes.judge(tx, ids):
        if job.has_plan:
            planned.add(job.id)
            if job.verdict == NeedVerdict.WAIT and job.status == JobStatus.PENDING:
                waiting.add(job.id)
        for event in moves_by(JobStatus(job.status), NeedVerdict(job.verdict), later=job.later):
            if event is JobEvent.RENEW:
                again.append(job)
            else:
                steps.setdefault(event, []).append(_step(job, event))
    unblocked, blocked = steps.get(JobEvent.UNBLOCK, []), steps.get(JobEvent.BLOCK, [])
    with_them = spreading.unblocked_with(tx, {step.job_id for step in unblocked})
    jobs.move(tx, JobEvent.UNBLOCK, [*unblocked, *with_them], RESOLVER)
    deadlines.begin(tx, {*waiting, *(step.job_id for step in (*unblocked, *with_them))})
    with_them = spreading.blocked_with(tx, {step.job_id for step in blocked})
    jobs.move(tx, JobEvent.BLOCK, [*blocked, *with_them], RESOLVER)
    released = steps.get(JobEvent.READY, [])
    found = release.supplied(tx, [step.job_id for step in released if step.job_id in planned])
    unwanted = [replace(step, reason=_UNMET) for step in released if step.job_id in found.skipped]
    jobs.move(tx, JobEvent.SKIP, [*steps.get(JobEvent.SKIP, []), *unwanted], RESOLVER)
    reused = found.reused
    others = found.skipped | found.missing.keys() | found.expanded | reused.done.keys() | reused.waiting
    ready(tx, [_told(step, reused.missed) for step in released if step.job_id not in others])
    _reuse(tx, [step for step in released if step.job_id in reused.done], reused.done)
    _miss(tx, [step for step in released if step.job_id in found.missing], found.missing)
    _renew(tx, again)


def _renew(tx: Connection, again: Sequence[JudgedJob]) -> None:
    """Let skipped jobs begin anew that are needed now; not those whose conditions still do not hold."""
    decided = [job.id for job in again if job.has_plan and job.verdict == NeedVerdict.READY]
    wanted = {job.id for job in again} - release.unmet(tx, decided)
    if wanted:
        renew(tx, list(jobs.lock(tx, wanted).values()), actor=RESOLVER, reason="it is needed now")


def _miss(tx: Connection, steps: Sequence[jobs.JobMove], why: Mapping[JobId, str]) -> None:
    """Fail jobs that lack an input."""
    if not steps:
        return
    error_id = release.missing_error(tx)
    told = [replace(step, error_id=error_id, reason=why[step.job_id]) for step in steps]
    moved = jobs.move(tx, JobEvent.MISS, told, RESOLVER)
    plans.write_messages(tx, {job_id: why[job_id] for job_id in moved})


def _told(step: jobs.JobMove, why: Mapping[JobId, str]) -> jobs.JobMove:
    return replace(step, reason=why[step.job_id]) if step.job_id in why else step


def _reuse(
    tx: Connection, steps: Sequence[jobs.JobMove], found: Mapping[JobId, tuple[JobId, JobResults | None]]
) -> None:
    """Let jobs be done with the results of others."""
    told = [replace(step, reason=f"the results of job {found[step.job_id][0]} are reused") for step in steps]
    moved = jobs.move(tx, JobEvent.REUSE, told, RESOLVER)
    results.write(tx, {job_id: made for job_id in moved if (made := found[job_id][1]) is not None})


def _step(job: JudgedJob, event: JobEvent) -> jobs.JobMove:
    return jobs.JobMove(job.id, job.attempt, reason=_REASONS.get(event))
