"""What operators and administrators see to: projects, named errors, the scheduler. Answers are documents as they came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ganger import paging
from ganger.paging import Filter
from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class Projects:
    """The tenants: weight, quota, pause."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Record]:
        """Yield projects by name, page by page."""
        return paging.every(self._transport, Record, "/admin/projects/", paging.params(filters), limit=limit)

    def get(self, name: str) -> Record:
        """Return a project. Raises NotFound."""
        return Record.read(self._transport.json(Call("GET", _project(name))))

    def create(self, name: str, facts: Mapping[str, object]) -> Record:
        """Make a project. Raises Conflict if there is one of this name."""
        return Record.read(self._transport.json(Call("POST", "/admin/projects/", body={"name": name, **facts})))

    def change(self, name: str, changes: Mapping[str, object]) -> Record:
        """Change `title`, `weight`, `quota` (part by part), `is_paused` with `pause_reason`. Raises NotFound."""
        return Record.read(self._transport.json(Call("PATCH", _project(name), body=dict(changes), repeatable=True)))

    def delete(self, name: str) -> None:
        """Delete a project that nothing belongs to. Raises Conflict that says what is in the way."""
        self._transport.send(Call("DELETE", _project(name), repeatable=False))


@dataclass(frozen=True, slots=True)
class Errors:
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


@dataclass(frozen=True, slots=True)
class Scheduler:
    """The scheduler: who leads, and what operators have set."""

    _transport: Transport

    def get(self) -> Record:
        """Return its state, pause, queue mode, preemption, reservations and leader."""
        return Record.read(self._transport.json(Call("GET", "/scheduler/")))

    def change(self, changes: Mapping[str, object]) -> Record:
        """Change `is_paused` with `pause_reason`, `queue_mode` (FIFO or LIFO), `preemption`, `reservations`."""
        return Record.read(self._transport.json(Call("PATCH", "/scheduler/", body=dict(changes), repeatable=True)))


def _project(name: str) -> str:
    return f"/admin/projects/{quote(name, safe='')}/"
