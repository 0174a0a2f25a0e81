"""Named errors: what failures are called, and whether another try may help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ganger import paging
from ganger.paging import Filter
from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class NamedErrorsEndpoint:
    """Named errors, which job types map exit codes to."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Record]:
        """Yield errors by name, page by page, the built-in ones included."""
        return paging.every(self._transport, Record, "/errors/", paging.params(filters), limit=limit)

    def create(self, name: str, facts: Mapping[str, object]) -> Record:
        """Add an error: `title`, `category` (DATA or ALGORITHM), `description`, `should_be_retried`. Raises Conflict."""
        return Record.read(self._transport.json(Call("POST", "/errors/", body={"name": name, **facts})))

    def change(self, error_id: int, changes: Mapping[str, object]) -> Record:
        """Change an error that is not built in. Raises NotFound, InvalidRequest."""
        call = Call("PATCH", f"/errors/{error_id}/", body=dict(changes), repeatable=True)
        return Record.read(self._transport.json(call))
