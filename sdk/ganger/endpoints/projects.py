"""Projects: the tenants, with their share of the machines and their limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ganger import paging
from ganger.endpoints.secrets import SecretsEndpoint
from ganger.paging import Filter
from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class ProjectsEndpoint:
    """The tenants: weight, quota, pause."""

    _transport: Transport

    @property
    def secrets(self) -> SecretsEndpoint:
        """The secrets of projects."""
        return SecretsEndpoint(self._transport)

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


def _project(name: str) -> str:
    return f"/admin/projects/{quote(name, safe='')}/"
