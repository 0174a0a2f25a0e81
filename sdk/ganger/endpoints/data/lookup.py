"""Looking across things: groups of jobs, a search over everything with a name, the record of acts, bulk actions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from ganger import paging
from ganger.answers import JobGroupList, JobGroupView, SearchResult, SearchResults
from ganger.paging import Filter
from ganger.records import AuditEntry, Operation
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class LookupEndpoint:
    """What is looked for across things."""

    _transport: Transport

    def search(self, q: str) -> Sequence[SearchResult]:
        """Return jobs by id or name, job types, nodes, pools and projects by the beginning of their names: at most eight of each."""
        answer = self._transport.json(Call("GET", "/search/", params=[("q", q)]))
        return cast("SearchResults", answer)["results"]

    def groups(self, group_by: str = "status", **filters: Filter) -> Sequence[JobGroupView]:
        """Return jobs that match, counted by status, job_type, project, node, error, pool, priority or label:KEY; the largest group first.

        Filters are those of `jobs.list`. Raises InvalidRequest for another word.
        """
        call = Call("GET", "/jobs/groups/", params=paging.params({"group_by": group_by, **filters}))
        return cast("JobGroupList", self._transport.json(call))["results"]

    def export(
        self, file_format: Literal["csv", "jsonl"] = "csv", /, *, limit: int | None = None, **filters: Filter
    ) -> Iterator[bytes]:
        """Yield jobs that match as a file, piece by piece, the newest first unless `order` says otherwise; at most 100,000.

        Filters are those of `jobs.list`. Raises Unreachable where the connection breaks in the middle.
        """
        query = paging.params({"format": file_format, "limit": limit, **filters})
        process = os.getpid()
        with self._transport.stream(Call("GET", "/jobs/export/", params=query), read_timeout_s=60.0) as response:
            for piece in response.iter_bytes():
                self._transport.check_process(process)
                yield piece

    def acts(self, *, limit: int | None = None, **filters: Filter) -> Iterator[AuditEntry]:
        """Yield who did what, the newest first; filters are `actor`, `action`, `subject`, `started`, `ended`. An operator's."""
        return paging.every(self._transport, AuditEntry, "/audit/", paging.params(filters), limit=limit)

    def operations(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Operation]:
        """Yield bulk actions, the newest first; filters are `kind`, `status`, `created_by`. The jobs of one: `jobs.list(changed_by=ID)`."""
        return paging.every(self._transport, Operation, "/operations/", paging.params(filters), limit=limit)
