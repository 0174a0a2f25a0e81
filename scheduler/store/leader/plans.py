"""Committing a plan: look again under the nodes' locks, and write what still holds in one transaction.

The nodes are locked first and what they hold is summed in a *later* statement: summing in the locking statement
would still see the room as it was before the lock was granted, and two schedulers would fill it twice. Nothing here
waits: a node or job that somebody holds is left for the next tick, so that one that is stuck delays no other. A job is
locked by the statement that moves it: what could have become of it since the plan has raised its attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, Epoch, ExecutionId, JobId, NodeId, ShapeId, Term
from scheduler.rules.cluster.plan import Placement
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.lifecycle.moves import ExecutionStatus, JobEvent
from scheduler.store import records
from scheduler.store.jobs import jobs


@dataclass(frozen=True, slots=True)
class CommittedPlacement:
    """A placement that is now a fact."""

    execution_id: ExecutionId
    job_id: JobId
    attempt: Attempt
    node_id: NodeId
    node_name: str
    node_epoch: Epoch
    resources: Resources
    expected_s: float
    ahead: bool


class _LockedRoom(NamedTuple):
    id: NodeId
    name: str
    epoch: Epoch
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int]
    runs_ahead: bool


_LOCK_NODES = text("""
    SELECT id, name, epoch, cpus, mem, disk, custom, runs_ahead
    FROM nodes
    WHERE id = ANY(:ids)
      AND state = 'READY'
      AND is_active
      AND degraded IS NULL
      AND NOT (is_silent OR is_paused OR is_draining OR is_leaving)
      AND (CAST(:term AS bigint) IS NULL OR EXISTS (SELECT FROM leader WHERE name = 'scheduler' AND term = :term))
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
""")

_HELD = text("""
    SELECT node_id, sum(cpus)::bigint AS cpus, sum(mem)::bigint AS mem, sum(disk)::bigint AS disk
    FROM executions
    WHERE node_id = ANY(:ids) AND released_at IS NULL
    GROUP BY node_id
""")

_HELD_CUSTOM = text("""
    SELECT x.node_id, c.key AS name, sum(c.value::bigint)::bigint AS amount
    FROM executions x
    CROSS JOIN LATERAL jsonb_each_text(x.custom) AS c
    WHERE x.node_id = ANY(:ids) AND x.released_at IS NULL AND x.custom IS NOT NULL
    GROUP BY x.node_id, c.key
""")

_INSERT = text("""
    INSERT INTO executions (job_id, attempt, member, node_id, node_epoch, status, cpus, mem, disk, custom, lease_s, why, queued, is_ahead)
    SELECT v.job_id, v.attempt, v.member, v.node_id, v.epoch, :status, v.cpus, v.mem, v.disk, v.custom, :lease_s, v.why,
           j.queued, v.ahead
    FROM unnest(CAST(:jobs AS bigint[]), CAST(:attempts AS int[]), CAST(:members AS int[]), CAST(:nodes AS bigint[]),
                CAST(:epochs AS int[]), CAST(:cpus AS bigint[]), CAST(:mem AS bigint[]), CAST(:disk AS bigint[]),
                CAST(:custom AS jsonb[]), CAST(:whys AS text[]), CAST(:aheads AS boolean[]))
         WITH ORDINALITY AS v (job_id, attempt, member, node_id, epoch, cpus, mem, disk, custom, why, ahead, number)
    JOIN jobs j ON j.id = v.job_id
    ORDER BY v.number  -- ids in the order of the plan: nodes start by them what is ahead
    RETURNING id, job_id, member
""")


def commit(
    tx: Connection,
    placements: Sequence[Placement],
    shapes: Mapping[ShapeId, Shape],
    *,
    lease_s: float,
    term: Term | None = None,
) -> list[CommittedPlacement]:
    """Write the placements that still hold, in the order of the plan; what is missing in the answer lost a race.

    Each job moves to RUNNING at its next attempt and gets an execution QUEUED on its node; a gang gets one for each
    member, all of them or none. Nothing holds under a `term` that is over.
    """
    asked = {"ids": sorted({p.node_id for p in placements}), "term": term}
    nodes = {row.id: row for row in records.read_all(_LockedRoom, tx.execute(_LOCK_NODES, asked))}
    if not nodes:
        return []
    fitting = _fitting(tx, placements, shapes, nodes)
    steps = [jobs.JobMove(p.job_id, p.attempt, node_id=p.node_id, reason=p.why) for p in fitting if p.member == 0]
    moved = set(jobs.move(tx, JobEvent.PLACE, steps, "scheduler"))
    won = [p for p in fitting if p.job_id in moved]
    if not won:
        return []
    ids = _insert(tx, won, shapes, nodes, lease_s)
    return [
        CommittedPlacement(
            ids[p.job_id, p.member], p.job_id, Attempt(p.attempt + 1), p.node_id, nodes[p.node_id].name, nodes[p.node_id].epoch,
            shapes[p.shape_id].requires, p.expected_s, p.ahead,
        )
        for p in won
    ]  # fmt: skip


def _fitting(
    tx: Connection, placements: Iterable[Placement], shapes: Mapping[ShapeId, Shape], nodes: dict[NodeId, _LockedRoom]
) -> list[Placement]:
    """Return the placements for which the locked nodes have room, each taking its share before the next; gangs whole."""
    room = {row.id: _capacity(row) for row in nodes.values()}
    for row in tx.execute(_HELD, {"ids": list(nodes)}):
        room[row.node_id] = room[row.node_id].subtract(Resources(row.cpus, row.mem, row.disk))
    if any(row.custom for row in nodes.values()):
        for row in tx.execute(_HELD_CUSTOM, {"ids": list(nodes)}):
            room[row.node_id] = room[row.node_id].subtract(Resources(custom=((row.name, row.amount),)))
    fitting: list[Placement] = []
    for _, members in groupby(placements, key=lambda placement: placement.job_id):
        fitting += _seated(list(members), shapes, room, nodes)
    return fitting


def _may_go(placement: Placement, shape: Shape, free: Resources, node: _LockedRoom) -> bool:
    """Whether there is room beside all that is there and waits there; ahead of room a node that runs ahead is enough."""
    if placement.ahead:
        return node.runs_ahead and shape.count == 1 and shape.requires.fits(_capacity(node))
    return shape.requires.fits(free)


def _seated(
    members: list[Placement],
    shapes: Mapping[ShapeId, Shape],
    room: dict[NodeId, Resources],
    nodes: Mapping[NodeId, _LockedRoom],
) -> list[Placement]:
    """Take the room of a job's members and return them; where one finds none, nobody does and all room is as before."""
    shape = shapes[members[0].shape_id]
    taken: list[NodeId] = []
    for placement in members:
        free = room.get(placement.node_id)
        if free is None or not _may_go(placement, shape, free, nodes[placement.node_id]):
            break
        room[placement.node_id] = free.subtract(shape.requires)
        taken.append(placement.node_id)
    if len(taken) == shape.count:
        return members
    for node_id in taken:
        room[node_id] = room[node_id].add(shape.requires)
    return []


def _insert(
    tx: Connection,
    won: list[Placement],
    shapes: Mapping[ShapeId, Shape],
    nodes: dict[NodeId, _LockedRoom],
    lease_s: float,
) -> dict[tuple[JobId, int], ExecutionId]:
    needs = [shapes[p.shape_id].requires for p in won]
    rows = tx.execute(
        _INSERT,
        {
            "jobs": [p.job_id for p in won],
            "attempts": [p.attempt + 1 for p in won],
            "members": [p.member for p in won],
            "nodes": [p.node_id for p in won],
            "epochs": [nodes[p.node_id].epoch for p in won],
            "cpus": [need.cpus for need in needs],
            "mem": [need.mem for need in needs],
            "disk": [need.disk for need in needs],
            "custom": [orjson.dumps(dict(need.custom)).decode() if need.custom else None for need in needs],
            "whys": [p.why for p in won],
            "aheads": [p.ahead for p in won],
            "lease_s": lease_s,
            "status": ExecutionStatus.QUEUED,
        },
    )
    return {(row.job_id, row.member): row.id for row in rows}


def _capacity(row: _LockedRoom) -> Resources:
    return Resources(row.cpus, row.mem, row.disk, tuple(sorted(row.custom.items())))
