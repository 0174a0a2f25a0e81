"""The node's log: lines on stderr, JSON but at a terminal, and the name of every event that may stand in one."""

from __future__ import annotations

import logging
import sys
from typing import Final

import orjson
import structlog

AGENT_STARTED: Final = "agent.started"
AGENT_STOPPING: Final = "agent.stopping"
AGENT_STOPPED: Final = "agent.stopped"
API_BACK: Final = "api.back"
API_REFUSED: Final = "api.refused"
API_UNREACHABLE: Final = "api.unreachable"
BROKER_BACK: Final = "broker.back"
BROKER_UNREACHABLE: Final = "broker.unreachable"
CONSUMER_RESTARTED: Final = "consumer.restarted"
CONSUMER_STARTED: Final = "consumer.started"
EXECUTION_CLAIMED: Final = "execution.claimed"
EXECUTION_ENDED: Final = "execution.ended"
EXECUTION_FENCED: Final = "execution.fenced"
EXECUTION_PURGED: Final = "execution.purged"
EXECUTION_REFUSED: Final = "execution.refused"
EXECUTION_RESUMED: Final = "execution.resumed"
EXECUTION_STOPPED: Final = "execution.stopped"
JOURNAL_BROKEN: Final = "journal.broken"
JOURNAL_MENDED: Final = "journal.mended"
JOURNAL_TORN: Final = "journal.torn"
LEFTOVER_KEPT: Final = "leftover.kept"
LEFTOVER_REMOVED: Final = "leftover.removed"
USERS_LEFT: Final = "users.left"
NODE_DEGRADED: Final = "node.degraded"
NODE_HEALTHY: Final = "node.healthy"
NODE_LEFT: Final = "node.left"
NODE_REGISTERED: Final = "node.registered"
NODE_REPLACED: Final = "node.replaced"
OUTPUT_GIVEN_UP: Final = "output.given_up"
SUPERVISOR_LOST: Final = "supervisor.lost"
SUPERVISOR_REFUSED: Final = "supervisor.refused"
SUPERVISOR_UP: Final = "supervisor.up"
THREAD_FAILED: Final = "thread.failed"


def configure(level: str) -> None:
    """Write log lines of `level` and above to stderr, each in one write: for people at a terminal, else as JSON."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer()
            if sys.stderr.isatty()
            else structlog.processors.JSONRenderer(serializer=_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def logger() -> structlog.typing.FilteringBoundLogger:
    """Return the node's logger. Bind nothing to it: every line names its own ids."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


def _line(record: object, **_: object) -> str:
    return orjson.dumps(record, default=str).decode()
