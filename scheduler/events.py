"""The names of everything that the scheduler writes to its log: operators search and alert on these words."""

from __future__ import annotations

from typing import Final

API_PLAIN_HTTP: Final = "api.plain-http"
BROKER_BACK: Final = "broker.back"
BROKER_TROUBLE: Final = "broker.trouble"
BROKER_USERS_OFF: Final = "broker.users-off"
CONTENT_LEFT: Final = "content.left"
DATABASE_AWAITED: Final = "database.awaited"
DATABASE_READY: Final = "database.ready"
DELIVERY_DROPPED: Final = "delivery.dropped"
FEED_TROUBLE: Final = "feed.trouble"
INVARIANT_VIOLATED: Final = "invariant.violated"
LOOP_TROUBLE: Final = "loop.trouble"
LOOP_WELL_AGAIN: Final = "loop.well-again"
NEEDS_OVERLOOKED: Final = "needs.overlooked"
NODE_LOST: Final = "node.lost"
OPERATION_FAILED: Final = "operation.failed"
PLACEMENTS_WITHDRAWN: Final = "placements.withdrawn"
POOL_TROUBLE: Final = "pool.trouble"
PURGED: Final = "purged"
SCHEDULER_LEADS: Final = "scheduler.leads"
SCHEDULER_STEPS_DOWN: Final = "scheduler.steps-down"
TICK: Final = "tick"

POOL_CLEAR: Final = "pool.clear"
POOL_DRAIN: Final = "pool.drain"
POOL_KEEP: Final = "pool.keep"
POOL_REVIVE: Final = "pool.revive"
POOL_START: Final = "pool.start"
"""The actions of the autoscaler; the word after the point is also in the pool's own list of events."""
