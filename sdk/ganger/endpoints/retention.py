"""Retention: what is kept no longer, and what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ganger.documents import JsonObject
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class RetentionEndpoint:
    """Purges of what has ended. What a project keeps is the field `retention` of the project."""

    _transport: Transport

    def due(self, project: str | None = None) -> Sequence[JsonObject]:
        """Return what a purge would delete now: `project`, `what`, `status`, `count`, `bytes`, `oldest`. Changes nothing."""
        body = {"dry_run": True} | ({} if project is None else {"project": project})
        answer = self._transport.json(Call("POST", "/admin/purge/", body=body, repeatable=True))
        return list(answer["results"])

    def purge(self) -> Sequence[JsonObject]:
        """Begin a purge, which goes on in the background; return what it deletes. Safe to repeat."""
        answer = self._transport.json(Call("POST", "/admin/purge/", body={}, repeatable=True))
        return list(answer["results"])

    def purged(self) -> Sequence[JsonObject]:
        """Return how much was purged so far: `project`, `what`, `count`, `bytes`, `last`."""
        return list(self._transport.json(Call("GET", "/admin/purge/"))["purged"])
