"""Usage: keeps the samples that heartbeats bring of running executions, and shows the line through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from scheduler import wire
from scheduler.events import USAGE_LOST
from scheduler.identifiers import ExecutionId
from scheduler.identity import Caller
from scheduler.jobs import queries
from scheduler.log import log
from scheduler.rules.lifecycle import usage
from scheduler.rules.lifecycle.usage import UsagePeaks, UsagePoint
from scheduler.runtime import Runtime
from scheduler.store.executions import usage_samples
from scheduler.store.executions.listing import ExecutionRow


@dataclass(frozen=True, slots=True)
class ExecutionUsage:
    """What an execution used: the line, the seconds of one of its slots, the peaks; why there is no line where there is none."""

    execution: ExecutionRow
    every_s: int
    points: Sequence[UsagePoint]
    peaks: UsagePeaks
    message: str | None


def store(rt: Runtime, message: wire.HeartbeatBody) -> None:
    """Keep the samples of a heartbeat that is heard; commits. Their moments count by how long ago they were taken, by the node's own clock.

    A heartbeat never depends on them: those that the database cannot take within its time are lost, and the log says so.
    """
    if not message.usage:
        return
    told = message.load.get(wire.CLOCK, math.nan)
    now = told if math.isfinite(told) else max(one.at for one in message.usage)
    try:
        with rt.moves.begin() as tx:
            tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
            usage_samples.add(tx, message.node_id, message.usage, now)
    except DBAPIError as error:
        log.warning(USAGE_LOST, node=message.node_id, samples=len(message.usage), why=str(error.orig)[:200])


def show(rt: Runtime, caller: Caller, execution_id: ExecutionId) -> ExecutionUsage:
    """Return what an execution has used so far; raises NotFound."""
    row, _ = queries.execution(rt, caller, execution_id)
    with rt.keyed.connect() as tx:
        samples = usage_samples.read(tx, execution_id)
    line = [] if row.started is None else usage.points(row.started, samples)
    level = max((one.level for one in samples), default=0)
    measured = row.usage or {}
    message = None if line else usage.why_none(row.status, row.started, row.ended, rt.now(), measured)
    return ExecutionUsage(row, usage.EVERY_S << level, line, usage.peaks(line, measured), message)
