"""Job types: the versioned templates that jobs are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import quote

from ganger import paging
from ganger.answers import CheckAnswer, TypeStatisticsView
from ganger.paging import Filter
from ganger.records import JobType
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class JobTypesEndpoint:
    """The versioned templates."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[JobType]:
        """Yield job types page by page."""
        return paging.every(self._transport, JobType, "/job-types/", paging.params(filters), limit=limit)

    def get(self, name: str, version: str, *, project: str | None = None) -> JobType:
        """Return a job type by name and version: the project's, by default the token's own before the installation's.

        Raises NotFound.
        """
        path = f"/job-types/{quote(name, safe='')}/{quote(version, safe='')}/"
        return JobType.read(self._transport.json(Call("GET", path, paging.params({"project": project}))))

    def newest(self, name: str, *, project: str | None = None) -> JobType | None:
        """Return the newest active version of a type by its numbers, pre-releases last; a project's before the installation's.

        None if there is none.
        """
        active = [*self.list(name=name, project=project, is_active=True, order=["-version", "-created"])]
        own = [job_type for job_type in active if job_type.project is not None]
        return next(iter(own or active), None)

    def statistics(self, job_type_id: int, *, started: datetime | None = None) -> TypeStatisticsView:
        """Return figures of a type's latest tries, by default of 30 days: waits, run times, memory and cpus asked and used, errors."""
        call = Call("GET", f"/job-types/{job_type_id}/statistics/", params=paging.params({"started": started}))
        return cast("TypeStatisticsView", self._transport.json(call))

    def create(self, definition: Mapping[str, object]) -> JobType:
        """Make a job type, owned by `project` if the definition names one, else by the token's project or the installation.

        Raises Conflict if the owner has name and version, InvalidRequest naming the field.
        """
        return JobType.read(self._transport.json(Call("POST", "/job-types/", body=dict(definition))))

    def replace(self, definition: Mapping[str, object]) -> JobType:
        """Make a job type, or let the one of this name and version be exactly this: what is left out takes its default."""
        call = Call("POST", "/job-types/", params=[("replace", "true")], body=dict(definition), repeatable=True)
        return JobType.read(self._transport.json(call))

    def change(self, job_type_id: int, changes: Mapping[str, object]) -> JobType:
        """Change what is named; a change of what a job would see makes a new revision."""
        call = Call("PATCH", f"/job-types/{job_type_id}/", body=dict(changes), repeatable=True)
        return JobType.read(self._transport.json(call))

    def validate(self, definition: Mapping[str, object]) -> CheckAnswer:
        """Return errors and warnings of a definition without storing it."""
        call = Call("POST", "/job-types/validation/", body=dict(definition), repeatable=True)
        return cast("CheckAnswer", self._transport.json(call))
