"""Heartbeats that have nothing new to say: one statement for those of many nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import Epoch, NodeId
from scheduler.store import by_key
from scheduler.store.executions.executions import NodeInstruction


class PlainHeartbeat(NamedTuple):
    """A heartbeat without progress, with the digest of the credential that its node has shown."""

    node_id: NodeId
    epoch: Epoch
    holding: int
    load: dict[str, float]
    degraded: str | None
    is_leaving: bool
    credential: bytes


class HeardHeartbeat(NamedTuple):
    """What the node is told: whether it is to drain, what to stop, and the placements that wait to be claimed."""

    node_id: NodeId
    is_draining: bool
    instructions: list[NodeInstruction]


# A heartbeat that is lost in a crash costs nothing: the next one comes in seconds.
_HEAR = """
    WITH hurry AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'off', true)
    ), v AS MATERIALIZED (
        SELECT * FROM unnest(%(node_ids)s::bigint[], %(epochs)s::int[], %(holding)s::int[], %(loads)s::text[],
                             %(degraded)s::text[], %(leaving)s::boolean[], %(credentials)s::bytea[])
            AS v (node_id, epoch, holding, load, degraded, is_leaving, credential)
    ), known AS MATERIALIZED (
        SELECT v.node_id, v.epoch, v.holding, v.load, n.is_draining
        FROM hurry, v
        JOIN nodes n ON n.id = v.node_id
        WHERE n.epoch = v.epoch AND n.is_leaving = v.is_leaving AND n.degraded IS NOT DISTINCT FROM v.degraded
          AND NOT n.is_silent
          AND EXISTS (SELECT FROM node_credentials c JOIN tokens t ON t.id = c.token_id
                      WHERE c.sha256 = v.credential AND c.node_id = v.node_id AND t.revoked IS NULL)
    ), heard AS (
        UPDATE beats b
        SET seq = b.seq + 1, holding = known.holding, load = known.load::jsonb, at = now()
        FROM known
        WHERE b.node_id = known.node_id AND b.epoch = known.epoch
        RETURNING b.node_id, known.is_draining
    )
    SELECT heard.node_id, heard.is_draining, x.id, x.attempt, x.status, x.cancel_requested, x.cancel_grace_s
    FROM heard
    LEFT JOIN LATERAL (
        SELECT id, attempt, status, cancel_requested, cancel_grace_s
        FROM executions
        WHERE node_id = heard.node_id AND released_at IS NULL AND (status = 'QUEUED' OR cancel_requested IS NOT NULL)
        ORDER BY id
        LIMIT 5000
    ) AS x ON true
"""

_READY = text("SELECT count(*) FROM nodes WHERE state = 'READY'")


def hear(tx: Connection, heartbeats: Sequence[PlainHeartbeat]) -> dict[NodeId, HeardHeartbeat]:
    """Count these heartbeats, of different nodes each; those that say something new, or may not say it, are left out."""
    parameters = {
        "node_ids": [one.node_id for one in heartbeats],
        "epochs": [one.epoch for one in heartbeats],
        "holding": [one.holding for one in heartbeats],
        "loads": [orjson.dumps(one.load).decode() for one in heartbeats],
        "degraded": [one.degraded for one in heartbeats],
        "leaving": [one.is_leaving for one in heartbeats],
        "credentials": [one.credential for one in heartbeats],
    }
    heard: dict[NodeId, HeardHeartbeat] = {}
    for node_id, is_draining, execution_id, attempt, status, asked, grace_s in by_key.rows(tx, _HEAR, parameters):
        found = heard.setdefault(node_id, HeardHeartbeat(node_id, is_draining, []))
        if execution_id is not None:
            found.instructions.append(NodeInstruction(execution_id, attempt, status, asked, grace_s))
    return heard


def count_ready(tx: Connection) -> int:
    """Return how many nodes there are."""
    return int(tx.execute(_READY).scalar_one())
