"""The Python client: typed calls over the documented HTTP API, and nothing else.

with Client("http://127.0.0.1:8470", token) as ganger:
    job = ganger.jobs.submit(JobRequest(command=["echo", "hello"]))
    done = ganger.jobs.wait(job.id)
    print(done.status, ganger.logs.read(done.job_exes[0].id))
"""

from __future__ import annotations

from typing import Any, Self

import httpx2

from api.client.administration import Errors, Projects, Scheduler
from api.client.catalogue import JobTypes, Nodes
from api.client.errors import (
    ClientError,
    Conflict,
    Denied,
    InvalidRequest,
    NotFound,
    Refused,
    ServerTrouble,
    TimedOut,
    Unreachable,
)
from api.client.files import Files
from api.client.jobs import Jobs
from api.client.logs import Logs
from api.client.pools import Pools
from api.client.records import Event, Execution, File, Job, JobType, LogPiece, Node, Operation
from api.client.requests import JobRequest
from api.client.tokens import Tokens
from api.client.transport import Call, Transport

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


class Client:
    """One API, as seen with one token. Thread-safe; close it, or use it as a context manager.

    `timeout_s` bounds one request; `patience_s` is how long calls that may be repeated try to reach an API that does
    not answer. `http` replaces the network, for tests.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        patience_s: float = 10.0,
        http: httpx2.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(url, token, timeout_s=timeout_s, patience_s=patience_s, http=http)
        self.jobs = Jobs(self._transport)
        self.logs = Logs(self._transport)
        self.files = Files(self._transport)
        self.job_types = JobTypes(self._transport)
        self.nodes = Nodes(self._transport)
        self.tokens = Tokens(self._transport)
        self.pools = Pools(self._transport)
        self.projects = Projects(self._transport)
        self.errors = Errors(self._transport)
        self.scheduler = Scheduler(self._transport)

    @property
    def url(self) -> str:
        """The address of the API."""
        return self._transport.url

    def status(self) -> dict[str, Any]:
        """Return how the installation is: scheduler, servers, nodes, jobs, warnings; also when no scheduler leads."""
        try:
            answer: dict[str, Any] = self._transport.json(Call("GET", "/status/", patience_s=0.0))
        except ServerTrouble as trouble:
            if trouble.document is None or "scheduler" not in trouble.document:
                raise
            return dict(trouble.document)
        return answer

    def version(self) -> str:
        """Return the version that the API runs."""
        return str(self.read("/version/")["version"])

    def read(self, path: str) -> dict[str, Any]:
        """Return what any other address of the API answers to GET."""
        answer: dict[str, Any] = self._transport.json(Call("GET", path))
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
