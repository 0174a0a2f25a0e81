"""`Client`: one API, seen with one token."""

from __future__ import annotations

from typing import Self

import httpx2

from ganger import configuration
from ganger.documents import JsonObject
from ganger.endpoints.administration import Errors, Projects, Scheduler
from ganger.endpoints.catalogue import JobTypes, Nodes
from ganger.endpoints.files import Files
from ganger.endpoints.jobs import Jobs
from ganger.endpoints.logs import Logs
from ganger.endpoints.pools import Pools
from ganger.endpoints.tokens import Tokens
from ganger.errors import ServerTrouble
from ganger.transport import Call, Transport


class Client:
    """One API, as seen with one token. Thread-safe; close it, or use it as a context manager.

    Without `url` or `token` each is looked up as `ganger.configuration` says; raises NotConfigured if no place names an
    address. An empty `token` sends none. `timeout_s` bounds one request; `patience_s` is how long calls that may be repeated try to reach an API that does
    not answer. `http` replaces the network, for tests.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        profile: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 10.0,
        http: httpx2.BaseTransport | None = None,
    ) -> None:
        found = configuration.resolve(url, token, profile=profile)
        self._transport = Transport(found.url, found.token, timeout_s=timeout_s, patience_s=patience_s, http=http)
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

    def status(self) -> JsonObject:
        """Return how the installation is: scheduler, servers, nodes, jobs, warnings; also when no scheduler leads."""
        try:
            answer: JsonObject = self._transport.json(Call("GET", "/status/", patience_s=0.0))
        except ServerTrouble as trouble:
            if trouble.document is None or "scheduler" not in trouble.document:
                raise
            return dict(trouble.document)
        return answer

    def version(self) -> str:
        """Return the version that the API runs."""
        return str(self.read("/version/")["version"])

    def read(self, path: str) -> JsonObject:
        """Return what any other address of the API answers to GET."""
        answer: JsonObject = self._transport.json(Call("GET", path))
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
