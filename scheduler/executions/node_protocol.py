"""The server side of the node protocol: beat, exchange, output. Each call takes a batch in one transaction and may be repeated.

`nodes.registration` has register and leave. The guards are those of the protocol: a claim is a compare-and-set on execution,
attempt and node epoch, and charges the try before any user code can run. What was placed ahead of room is only handed out by
it: the node starts it by itself and says so afterwards, and then it is charged. A report counts only for a live execution with
its claim token, and cancel beats a late completion because `jobs.move` finds the job no longer RUNNING. `claim` and `report`
are parts of an exchange, for agents of the release before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from scheduler import wire
from scheduler.errors import NodeReplaced
from scheduler.executions import claims, launch_failures, reports, usage
from scheduler.executions.plain_beats import HeartbeatGathering
from scheduler.identifiers import Epoch, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.moves import ExecutionStatus
from scheduler.rules.lifecycle.outcome import Outcome, StopReason, reason_for_node
from scheduler.runtime import Runtime
from scheduler.store.executions import executions, output, starts
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes
from scheduler.store.nodes.beats import PlainHeartbeat


def plain_beat(
    rt: Runtime, gathering: HeartbeatGathering, message: wire.HeartbeatBody, credential: bytes
) -> wire.HeartbeatAnswer | None:
    """Answer a heartbeat that has nothing new to say, but for samples of usage; None for one that `beat` has to take."""
    if message.progress:
        return None
    plain = PlainHeartbeat(
        message.node_id,
        message.epoch,
        message.holding,
        message.load,
        message.degraded,
        message.draining,
        credential,
    )
    heard = gathering.hear(plain)
    if heard is None:
        return None
    usage.store(rt, message)
    answer = _answer(message.epoch, heard.instructions, drain=heard.is_draining)
    return answer.model_copy(update={"beat_s": gathering.interval_s()})


def beat(rt: Runtime, message: wire.HeartbeatBody, *, by_token: bool = False) -> wire.HeartbeatAnswer:
    """Record a heartbeat; answer with the executions that the node should stop and the placements that it has not claimed.

    Progress counts only with the token of its claim, but for `by_token`: an agent of the release before sends none.
    Raises NodeReplaced if the node's epoch is over.
    """
    with rt.db.begin() as tx:
        # A heartbeat that is lost in a crash costs nothing: the next one comes in seconds.
        tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
        # The node's row first, then its heartbeat: `nodes.lost` locks them in this order too.
        changed = nodes.self_report(
            tx, message.node_id, message.epoch, degraded=message.degraded, leaving=message.draining
        )
        heard = nodes.beat(tx, node_id=message.node_id, epoch=message.epoch, holding=message.holding, load=message.load)
        if not heard:
            raise NodeReplaced("this node was declared lost, or another one took its name; register again")
        if message.progress:
            said = [p for p in message.progress if p.percent is not None or p.note is not None]
            output.progress(tx, message.node_id, said, by_token=by_token)
            phases = [
                (p.execution_id, p.attempt, p.token, reports.phase_columns(p.phases))
                for p in message.progress
                if p.phases
            ]
            executions.note_phases(tx, message.node_id, phases, by_token=by_token)
        is_silent = nodes.flags(tx, message.node_id).is_silent
        news = executions.news(tx, message.node_id)
    if changed or is_silent:
        rt.nudge("tick")
    usage.store(rt, message)
    return _answer(message.epoch, news.instructions, drain=news.is_draining)


def claim(rt: Runtime, message: wire.ClaimBatch) -> wire.ClaimAnswer:
    """Give executions to the node that asks, charge their tries, and return all that it needs to run them.

    A repeat with the same token is granted again and charges nothing. Under an old epoch everything is refused. What was
    placed ahead of room is charged when it starts.
    """
    with rt.moves.begin() as tx:
        ids = [c.execution_id for c in message.claims]
        locked, rows = _lock(tx, ids)
        answer, awaited = claims.grant(tx, rt, (message.node_id, message.epoch), message.claims, locked, rows)
    if awaited:
        rt.nudge("tick")
    return answer


def report(rt: Runtime, message: wire.ReportBatch) -> wire.ReportAnswer:
    """Record how executions ended, free their room, and move their jobs; one transaction for the batch.

    `accepted` includes reports that were recorded before. The executions in `fenced` ended otherwise in the meantime: the
    node discards their outputs.
    """
    said = list({r.execution_id: r for r in message.reports}.values())
    with rt.moves.begin() as tx:
        launch_failures.lock(tx, message.node_id, said)
        locked, rows = _lock(tx, [r.execution_id for r in said])
        taken = reports.take(tx, rt, message.node_id, said, locked, rows, message.now)
        is_suspected = executions.news(tx, message.node_id).is_suspected
    launch_failures.reset(rt, message.node_id, said, is_suspected=is_suspected)
    if taken.live:
        rt.nudge("tick")
    rt.ring(taken.to_ring)
    accepted, fenced = _sorted_out(said, taken)
    return wire.ReportAnswer(accepted=accepted, fenced=fenced)


def exchange(rt: Runtime, message: wire.NodeExchange) -> wire.ExchangeAnswer:
    """Take what a node has to say and answer what it asks, in one transaction: ends, then starts, then claims.

    In this order, so that the room of what has ended is there for what has started. The answer has the news for the node
    that its next heartbeat would bring. Safe to repeat.
    """
    said = list({r.execution_id: r for r in message.reports}.values())
    begun = list({s.execution_id: s for s in message.starts}.values())
    with rt.moves.begin() as tx:
        launch_failures.lock(tx, message.node_id, said)
        locked, rows = _lock(tx, [one.execution_id for one in (*said, *begun, *message.claims)])
        taken = reports.take(tx, rt, message.node_id, said, locked, rows, message.now)
        overdrawn, started = _start(tx, message, begun, rows)
        answer, awaited = claims.grant(tx, rt, (message.node_id, message.epoch), message.claims, locked, rows)
        heard = executions.news(tx, message.node_id)
    news = _answer(message.epoch, heard.instructions, drain=heard.is_draining)
    launch_failures.reset(rt, message.node_id, said, is_suspected=heard.is_suspected)
    if started or awaited or (taken.live and (message.hungry or _matters(taken.live, locked, rows))):
        rt.nudge("tick")
    rt.ring(taken.to_ring)
    accepted, fenced = _sorted_out(said, taken)
    return wire.ExchangeAnswer(
        granted=answer.granted, refused=answer.refused, overdrawn=overdrawn, accepted=accepted, fenced=fenced,
        drain=news.drain, cancels=news.cancels, waiting=news.waiting,
    )  # fmt: skip


def store_output(rt: Runtime, message: wire.OutputChunks, *, by_token: bool = False) -> None:
    """Store pieces of output. A piece that is stored already is not written again.

    Pieces of executions that the node has not claimed with this token are dropped; with `by_token` (an agent of the
    release before) those of executions of other nodes.
    """
    with rt.moves.begin() as tx:
        tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
        output.append(tx, message.node_id, message.chunks, by_token=by_token)


def _answer(epoch: Epoch, rows: Sequence[executions.NodeInstruction], *, drain: bool) -> wire.HeartbeatAnswer:
    """Return the answer to a heartbeat: what to stop, and the placements that wait to be claimed."""
    return wire.HeartbeatAnswer(
        epoch=epoch,
        drain=drain,
        cancels=[
            wire.Cancel(
                execution_id=row.id,
                attempt=row.attempt,
                reason=reason_for_node(StopReason(row.cancel_requested)),
                grace_s=row.cancel_grace_s,
            )
            for row in rows
            if row.cancel_requested is not None
        ],
        waiting=[
            wire.ExecutionRef(execution_id=row.id, attempt=row.attempt)
            for row in rows
            if row.status == ExecutionStatus.QUEUED
        ],
    )


def _lock(
    tx: Connection, ids: Iterable[ExecutionId]
) -> tuple[dict[JobId, jobs.LockedJob], dict[ExecutionId, executions.LockedExecution]]:
    """Lock jobs, then their executions, and return what decides their next moves."""
    ids = set(ids)
    if not ids:
        return {}, {}
    return jobs.lock_of(tx, ids), executions.lock(tx, ids)


def _start(
    tx: Connection,
    message: wire.NodeExchange,
    begun: Sequence[wire.ExecutionStart],
    rows: Mapping[ExecutionId, executions.LockedExecution],
) -> tuple[list[wire.ExecutionRef], bool]:
    """Note what the node has started ahead and charge it; return those for which there is no room by our books.

    And whether other jobs wait for the start of any of them.

    A repeat changes nothing. What was taken from the node meanwhile it learns by the end of its lease or its next registration.
    """
    new = [
        (s.execution_id, s.attempt, s.token, max(0.0, message.now - s.at))
        for s in begun
        if _waits_ahead(rows.get(s.execution_id), s, message.node_id)
    ]
    started = starts.start(tx, new, node_id=message.node_id)
    awaited = jobs.charge(tx, [rows[execution_id].job_id for execution_id in started])
    overdrawn = [
        wire.ExecutionRef(execution_id=execution_id, attempt=attempt)
        for execution_id, attempt, _, _ in new
        if execution_id not in started
    ]
    return overdrawn, awaited


def _waits_ahead(row: executions.LockedExecution | None, s: wire.ExecutionStart, node_id: NodeId) -> bool:
    return (
        row is not None
        and row.status == ExecutionStatus.AHEAD
        and (row.attempt, row.claim_token, row.node_id) == (s.attempt, s.token, node_id)
    )


def _matters(
    live: Iterable[wire.ExecutionReport],
    locked: Mapping[JobId, jobs.LockedJob],
    rows: Mapping[ExecutionId, executions.LockedExecution],
) -> bool:
    """Whether an end is news for somebody else: its job goes back to the queue, or others wait for it.

    The room of all other ends is filled by the node itself, which has work ahead.
    """
    return any(
        r.outcome is not Outcome.COMPLETED
        or not rows[r.execution_id].is_ahead
        or locked[rows[r.execution_id].job_id].followers
        for r in live
    )


def _sorted_out(
    said: Sequence[wire.ExecutionReport], taken: reports.TakenReports
) -> tuple[list[wire.ExecutionRef], list[wire.ExecutionRef]]:
    """Return the reports that were accepted, now or before, and those that came too late."""
    accepted = [_ref(r) for r in said if r.execution_id in taken.accepted]
    return accepted, [_ref(r) for r in said if r.execution_id not in taken.accepted]


def _ref(r: wire.ExecutionRef) -> wire.ExecutionRef:
    return wire.ExecutionRef(execution_id=r.execution_id, attempt=r.attempt)
