"""Needs and workflows: followers of one job and of many, a chain, a diamond of 100,000 jobs, what waiting costs a tick, and 10,000 schedules at once.

On a real PostgreSQL, synced; jobs end by the real moves, and the resolver runs as in the leader's tick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import text

from api.up.embedded import servers, state
from scheduler import runtime
from scheduler.admin import seed, tokens
from scheduler.cluster_state import ClusterState
from scheduler.identifiers import Attempt, JobId
from scheduler.identity import Caller, Role
from scheduler.jobs import submit
from scheduler.jobs.admission import AdmissionCheck
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.submit import Submission
from scheduler.leader import tick
from scheduler.needs.new_needs import NewNeed
from scheduler.resolver import resolver
from scheduler.rules.lifecycle.moves import JobEvent
from scheduler.runtime import Runtime
from scheduler.schedules import firing, schedules
from scheduler.schedules.definition import ScheduleTiming
from scheduler.settings import Settings
from scheduler.store.jobs import jobs
from scheduler.store.leader import lease
from scheduler.store.schema import migrations
from scheduler.workflows import running
from scheduler.workflows.running import WorkflowRequest
from tests.bench.figures import figure, spread
from tests.support.servers import state_folder

ME = Caller(1, "bench", Role.ADMIN)
FOLLOWERS = 10_000
CHAIN, CHAIN_ENDED = 10_000, 300
BLOCKED_CHAIN = 1_000
DIAMOND = 100_000
DENSE = 794
"""Jobs that each need all before them: 314,821 needs, as many as a text of 2 MiB can spell."""
SCHEDULES = 10_000
SINGLES = 50


def main() -> None:
    """Print the figures."""
    with state_folder() as root:
        server = servers.prepare(state.prepare(root))
        server.start()
        try:
            migrations.upgrade(server.database_url)
            engine = runtime.connect(server.database_url, Settings())
            seed.seed(engine, files_dir=None)
            rt = Runtime(engine, Settings(), runtime.utc_now, lambda: 0.5)
            global ME  # noqa: PLW0603 - its token is made here
            ME = Caller(
                tokens.create(rt, kind="user", role=Role.ADMIN, project=None, name="bench")[0], "bench", Role.ADMIN
            )
            for part in (_singles, _followers, _chain, _blocked_chain, _dense, _schedules, _diamond):
                part(rt)
                with rt.db.begin() as tx:  # what is left waits no more
                    tx.execute(
                        text("UPDATE jobs SET is_held = true WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELED')")
                    )
            engine.dispose()
        finally:
            server.stop()


_MORE_SCHEDULES = text("""
    WITH more AS (
        INSERT INTO schedules (project_id, name, timing, target, next_nominal, next_at, created_by, role)
        SELECT project_id, 's' || n, timing, target, next_nominal, next_at, created_by, role
        FROM schedules CROSS JOIN generate_series(2, :last) AS n
        RETURNING id
    )
    SELECT count(*) FROM more
""")
_DUE = text("UPDATE schedules SET next_nominal = date_trunc('minute', now()), next_at = date_trunc('minute', now())")


def _submit(rt: Runtime, new: Sequence[NewJob]) -> list[JobId]:
    return submit.submit(rt, ME, Submission(list(new), many=True), AdmissionCheck(rt)).job_ids


def _job(**facts: Any) -> NewJob:
    return NewJob(command=["true"], cpus=100, mem=0, disk_out=0, **facts)


def _end(rt: Runtime, ids: Sequence[JobId], event: JobEvent = JobEvent.COMPLETE) -> None:
    """Bring queued jobs to their end by the moves that there are."""
    with rt.db.begin() as tx:
        error = tx.execute(text("SELECT id FROM errors WHERE name = 'unknown'")).scalar_one()
        jobs.move(tx, JobEvent.PLACE, [jobs.JobMove(one, Attempt(0)) for one in ids], "bench")
    with rt.db.begin() as tx:
        jobs.move(tx, event, [jobs.JobMove(one, Attempt(1), error_id=error) for one in ids], "bench")


def _resolve(rt: Runtime) -> None:
    while resolver.resolve(rt):
        pass


def _took(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _singles(rt: Runtime) -> None:
    """From the commit of a parent's end to its follower QUEUED; in the leader the wake-up, a few ms, comes before."""
    parents = _submit(rt, [_job() for _ in range(SINGLES)])
    _submit(rt, [_job(needs=[NewNeed(job=one)]) for one in parents])
    seconds = []
    for parent in parents:
        _end(rt, [parent])
        seconds.append(_took(lambda: _resolve(rt)))
    spread("needs", "follower_queued", seconds)


def _followers(rt: Runtime) -> None:
    """So many followers of one parent."""
    (parent,) = _submit(rt, [_job()])
    _submit(rt, [_job(needs=[NewNeed(job=parent)]) for _ in range(FOLLOWERS)])
    _end(rt, [parent])
    figure("needs", "fan_out.released", _took(lambda: _resolve(rt)), "s", jobs=FOLLOWERS)


def _chain(rt: Runtime) -> None:
    """A chain: what each end costs the resolver, whatever else waits behind."""
    chain = [_job(), *(_job(needs=[NewNeed(job=f"@{n}")]) for n in range(CHAIN - 1))]
    began = time.perf_counter()
    ids = _submit(rt, chain)
    figure("needs", "chain.accepted", time.perf_counter() - began, "s", jobs=CHAIN)
    seconds = []
    for one in ids[:CHAIN_ENDED]:
        _end(rt, [one])
        seconds.append(_took(lambda: _resolve(rt)))
    spread("needs", "chain.next", seconds, jobs=CHAIN)


def _blocked_chain(rt: Runtime) -> None:
    """A chain whose first job fails: all of it is BLOCKED."""
    ids = _submit(rt, [_job(), *(_job(needs=[NewNeed(job=f"@{n}")]) for n in range(BLOCKED_CHAIN - 1))])
    _end(rt, ids[:1], JobEvent.FAIL)
    figure("needs", "chain.blocked", _took(lambda: _resolve(rt)), "s", jobs=BLOCKED_CHAIN)


def _dense(rt: Runtime) -> None:
    """The most needs that a text can have: what it costs to check it, and to run it."""
    lines = [
        f" j{n}: {{command: [x], needs: [{', '.join(f'j{parent}' for parent in range(n))}]}}" for n in range(DENSE)
    ]
    request = WorkflowRequest(definition="\n".join(["jobs:", *lines]))
    needs = DENSE * (DENSE - 1) // 2
    figure("needs", "dense.checked", _took(lambda: running.check(rt, ME, request)), "s", needs=needs)
    figure("needs", "dense.accepted", _took(lambda: running.run(rt, ME, request)), "s", needs=needs)


def _schedules(rt: Runtime) -> None:
    """So many schedules that are due at once, each with a job."""
    timing = ScheduleTiming(cron="* * * * *", overlap="allow")
    schedules.create(rt, ME, "one", timing, _job())
    with rt.db.begin() as tx:
        tx.execute(_MORE_SCHEDULES, {"last": SCHEDULES})
        tx.execute(_DUE)
    seconds = _took(lambda: firing.step(rt))
    with rt.db.begin() as tx:
        made = tx.execute(text("SELECT count(*) FROM schedule_firings WHERE outcome = 'LIVE'")).scalar_one()
        tx.execute(text("UPDATE schedules SET is_paused = true"))
    figure("needs", "schedules.fired", seconds, "s", jobs=made)


def _diamond(rt: Runtime) -> None:
    """One job, so many that need it, and one that needs them all; and what the ticks cost while these wait."""
    values = list(range(DIAMOND - 2))
    definition: dict[str, Any] = {
        "jobs": {
            "first": {"command": ["true"]},
            "middle": {"command": ["true"], "needs": ["first"], "for_each": {"values": values}},
            "last": {"command": ["true"], "needs": ["middle"]},
        }
    }
    request = WorkflowRequest(definition=definition)
    figure("needs", "diamond.accepted", _took(lambda: running.run(rt, ME, request)), "s", jobs=DIAMOND)
    figure("needs", "diamond.first_queued", _took(lambda: _resolve(rt)), "s", jobs=DIAMOND)
    cluster, term = ClusterState(rt.settings), _lead(rt)
    tick.tick(rt, cluster, term, lambda _: None)
    waiting = [
        _took(lambda: (resolver.resolve(rt, term), tick.tick(rt, cluster, term, lambda _: None))) for _ in range(200)
    ]
    with rt.db.begin() as tx:
        (first,) = tx.execute(text("SELECT job_id FROM workflow_jobs WHERE step = 'first'")).scalars()
    _end(rt, [first])
    figure("needs", "diamond.middle_queued", _took(lambda: _resolve(rt)), "s", jobs=DIAMOND)
    tick.tick(rt, cluster, term, lambda _: None)
    queued = [
        _took(lambda: (resolver.resolve(rt, term), tick.tick(rt, cluster, term, lambda _: None))) for _ in range(200)
    ]
    spread("needs", "tick.waiting_for_needs", waiting, jobs=DIAMOND)
    spread("needs", "tick.queued", queued, jobs=DIAMOND)


def _lead(rt: Runtime) -> Any:
    with rt.db.begin() as tx:
        return lease.take_over(tx, "bench", lease.read(tx))
