"""Data sets: columns of a project in numbered versions, which jobs make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ganger import paging
from ganger.paging import Filter
from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class DataSetsEndpoint:
    """Data sets and their versions. Updates and queries are jobs: wait for them with `client.jobs`."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Record]:
        """Yield data sets, the last changed first; deleted ones with `is_deleted=True`."""
        return paging.every(self._transport, Record, "/data-sets/", paging.params(filters), limit=limit)

    def get(self, data_set_id: int) -> Record:
        """Return a data set, deleted or not. Raises NotFound."""
        return Record.read(self._transport.json(Call("GET", f"/data-sets/{data_set_id}/")))

    def versions(self, data_set_id: int, *, limit: int | None = None) -> Iterator[Record]:
        """Yield the versions of a data set, the newest first."""
        return paging.every(self._transport, Record, f"/data-sets/{data_set_id}/versions/", (), limit=limit)

    def version(self, data_set_id: int, number: int) -> Record:
        """Return one version by its number. Raises NotFound."""
        return Record.read(self._transport.json(Call("GET", f"/data-sets/{data_set_id}/versions/{number}/")))

    def create(self, name: str, grid: Mapping[str, object], **facts: object) -> Record:
        """Make a block model with a grid of `blocks`, `size` and `origin`; return it with the job of its first version."""
        body = {"name": name, "grid": dict(grid), **facts}
        return Record.read(self._transport.json(Call("POST", "/data-sets/", body=body)))

    def update(self, data_set_id: int, **changes: object) -> Record:
        """Ask for an update: `new`, `update`, `delete` and `rename` columns, `merge`, `format`, `comment`; return its job.

        The job awaits the input `data` where `awaits_file` says so, and the word that it may begin: see `client.uploads`.
        """
        call = Call("POST", f"/data-sets/{data_set_id}/updates/", body=dict(changes))
        return Record.read(self._transport.json(call))

    def query(self, data_set_id: int, **criteria: object) -> Record:
        """Ask for blocks: `columns`, `version`, `box`, `format`; return the job, whose output `result` is the file."""
        call = Call("POST", f"/data-sets/{data_set_id}/queries/", body=dict(criteria))
        return Record.read(self._transport.json(call))

    def delete(self, data_set_id: int) -> None:
        """Delete a data set; it can be restored. Raises NotFound."""
        self._transport.send(Call("DELETE", f"/data-sets/{data_set_id}/", repeatable=False))

    def restore(self, data_set_id: int) -> Record:
        """Restore a deleted data set with all its versions. Raises NotFound, Conflict when its name is taken by now."""
        return Record.read(
            self._transport.json(Call("POST", f"/data-sets/{data_set_id}/restore/", body={}, repeatable=True))
        )
