"""The Python client of Ganger: typed calls over the documented HTTP API, and nothing else.

with Client() as ganger:
    job = ganger.jobs.submit(JobRequest(command=["echo", "hello"]))
    done = ganger.jobs.wait(job.id)
    print(done.status, ganger.logs.read(done.job_exes[0].id))

`Client()` finds the API's address and the token by itself (`ganger.configuration` says where it reads them).
Importing this package is cheap: the HTTP library and the records are loaded when one of the names below is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganger.client import Client
    from ganger.errors import (
        ClientError,
        Conflict,
        Denied,
        InvalidRequest,
        NotConfigured,
        NotFound,
        Refused,
        ServerTrouble,
        TimedOut,
        Unreachable,
    )
    from ganger.records import Event, Execution, File, Job, JobType, LogHit, LogPiece, Node, Operation
    from ganger.requests import JobRequest

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
    "LogHit",
    "LogPiece",
    "Node",
    "NotConfigured",
    "NotFound",
    "Operation",
    "Refused",
    "ServerTrouble",
    "TimedOut",
    "Unreachable",
]

_MODULES = {
    "ganger.client": ("Client",),
    "ganger.errors": (
        *("ClientError", "Conflict", "Denied", "InvalidRequest", "NotConfigured", "NotFound", "Refused"),
        *("ServerTrouble", "TimedOut", "Unreachable"),
    ),
    "ganger.records": ("Event", "Execution", "File", "Job", "JobType", "LogHit", "LogPiece", "Node", "Operation"),
    "ganger.requests": ("JobRequest",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load the module of a public name at its first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
