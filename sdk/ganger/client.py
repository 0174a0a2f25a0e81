"""`Client`: one API, seen with one token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, cast

import httpx2

from ganger import configuration
from ganger.answers import StatusView
from ganger.documents import JsonObject
from ganger.endpoints.data.data_sets import DataSetsEndpoint
from ganger.endpoints.data.lookup import LookupEndpoint
from ganger.endpoints.files import FilesEndpoint
from ganger.endpoints.job_types import JobTypesEndpoint
from ganger.endpoints.jobs import JobsEndpoint
from ganger.endpoints.logs import LogsEndpoint
from ganger.endpoints.named_errors import NamedErrorsEndpoint
from ganger.endpoints.nodes import NodesEndpoint
from ganger.endpoints.pools import PoolsEndpoint
from ganger.endpoints.projects import ProjectsEndpoint
from ganger.endpoints.retention import RetentionEndpoint
from ganger.endpoints.scheduler import SchedulerEndpoint
from ganger.endpoints.tokens import TokensEndpoint
from ganger.endpoints.uploads import UploadsEndpoint
from ganger.errors import ServerTrouble
from ganger.schedules import SchedulesEndpoint
from ganger.transport import Call, Transport
from ganger.workflows import WorkflowsEndpoint


class Client:
    """One API, as seen with one token. Thread-safe; close it, or use it as a context manager.

    It may be made before a fork and used on both sides of it, as a pool of processes does: each process has connections of its own.

    Without `url` or `token` each is looked up as `ganger.configuration` says; raises NotConfigured if no place names an
    address. An empty `token` sends none. `timeout_s` bounds one request; `patience_s` is how long calls that may be repeated try to reach an API that does
    not answer. `http` replaces the network, for tests. `on_token_ending` is called once, with the time in ISO-8601, when an
    answer says that the token ends within two weeks.
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
        on_token_ending: Callable[[str], None] | None = None,
    ) -> None:
        found = configuration.resolve(url, token, profile=profile)
        self._transport = Transport(
            found.url,
            found.token,
            timeout_s=timeout_s,
            patience_s=patience_s,
            http=http,
            on_token_ending=on_token_ending,
        )
        self.jobs = JobsEndpoint(self._transport)
        self.logs = LogsEndpoint(self._transport)
        self.files = FilesEndpoint(self._transport)
        self.job_types = JobTypesEndpoint(self._transport)
        self.nodes = NodesEndpoint(self._transport)
        self.tokens = TokensEndpoint(self._transport)
        self.pools = PoolsEndpoint(self._transport)
        self.projects = ProjectsEndpoint(self._transport)
        self.errors = NamedErrorsEndpoint(self._transport)
        self.scheduler = SchedulerEndpoint(self._transport)
        self.retention = RetentionEndpoint(self._transport)

    @property
    def uploads(self) -> UploadsEndpoint:
        """The inputs that jobs await."""
        return UploadsEndpoint(self._transport)

    @property
    def workflows(self) -> WorkflowsEndpoint:
        """Jobs that wait for each other, run as one."""
        return WorkflowsEndpoint(self._transport)

    @property
    def schedules(self) -> SchedulesEndpoint:
        """Jobs that start by themselves."""
        return SchedulesEndpoint(self._transport)

    @property
    def lookup(self) -> LookupEndpoint:
        """What is looked for across things: groups, names, acts, bulk actions."""
        return LookupEndpoint(self._transport)

    @property
    def data_sets(self) -> DataSetsEndpoint:
        """Columns in numbered versions."""
        return DataSetsEndpoint(self._transport)

    @property
    def url(self) -> str:
        """The address of the API."""
        return self._transport.url

    def status(self) -> StatusView:
        """Return how the installation is: scheduler, servers, nodes, jobs, warnings; also when no scheduler leads."""
        try:
            answer = cast("StatusView", self._transport.json(Call("GET", "/status/", patience_s=0.0)))
        except ServerTrouble as trouble:
            if trouble.document is None or "scheduler" not in trouble.document:
                raise
            return cast("StatusView", trouble.document)
        return answer

    def version(self) -> str:
        """Return the version that the API runs."""
        return str(self.read("/version/")["version"])

    def read(self, path: str) -> JsonObject:
        """Return what any other address of the API answers to GET."""
        return self._transport.json(Call("GET", path))

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
