"""The former place of the Python client, kept for programs that import it: the client is the package `ganger` now."""

from __future__ import annotations

import importlib
import sys
import warnings

from ganger import (
    Client,
    ClientError,
    Conflict,
    Denied,
    Event,
    Execution,
    File,
    InvalidRequest,
    Job,
    JobRequest,
    JobType,
    LogPiece,
    Node,
    NotFound,
    Operation,
    Refused,
    ServerTrouble,
    TimedOut,
    Unreachable,
)

__all__ = [
    "Client",
    "ClientError",
    "Conflict",
    "Denied",
    "Event",
    "Execution",
    "File",
    "InvalidRequest",
    "Job",
    "JobRequest",
    "JobType",
    "LogPiece",
    "Node",
    "NotFound",
    "Operation",
    "Refused",
    "ServerTrouble",
    "TimedOut",
    "Unreachable",
]

warnings.warn(
    "api.client is the package ganger now: write `from ganger import Client`", DeprecationWarning, stacklevel=2
)

_MOVED = {
    "errors": "ganger.errors",
    "files": "ganger.endpoints.files",
    "jobs": "ganger.endpoints.jobs",
    "logs": "ganger.endpoints.logs",
    "paging": "ganger.paging",
    "pools": "ganger.endpoints.pools",
    "records": "ganger.records",
    "requests": "ganger.requests",
    "tokens": "ganger.endpoints.tokens",
    "transport": "ganger.transport",
}
for _name, _module in _MOVED.items():
    # The same module under both names: an error that one of them raises is caught by the class of the other.
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = importlib.import_module(_module)
