"""The agreement of nodes and server on the broker: the tasks that Celery carries, queues, keys and passwords."""

from __future__ import annotations

import hashlib

PLACEMENT_TASK = "ganger.placements"
"""The Celery task that brings a node its placements: `placements(epoch, [[execution_id, attempt], ...])`.

A scheduler of an earlier release sends an empty list where it means `RING_TASK`.
"""

RING_TASK = "ganger.ring"
"""The Celery task that asks a node to send a heartbeat at once, because its answer has something new: `ring()`."""

CANARY_TASK = "ganger.canary"
"""The Celery task that a node sends to itself, to know that its consumer still works: `canary(number)`."""


def queue_name(node_name: str) -> str:
    """Return the Celery queue of a node."""
    return f"node.{node_name}"


def unacknowledged_keys(node_name: str) -> dict[str, str]:
    """Return the keys, by Celery's option, under which a node's consumer notes what it has taken but not confirmed.

    Each node has keys of its own, so that none can see or give back what another one has taken.
    """
    queue = queue_name(node_name)
    return {f"{option}_key": f"{option}.{queue}" for option in ("unacked", "unacked_index", "unacked_mutex")}


def password(credential_sha256: bytes) -> str:
    """Return the password of a node's user. Node and API both make it, from the digest of the node's credential."""
    return hashlib.sha256(b"ganger.broker:" + credential_sha256).hexdigest()
