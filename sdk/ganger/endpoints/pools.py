"""Pools: sets of nodes that are scaled together. Answers are documents as `/openapi.json` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from ganger.documents import JsonObject
from ganger.transport import Call, Transport

Documents: TypeAlias = list[JsonObject]


@dataclass(frozen=True, slots=True)
class PoolsEndpoint:
    """The pools of an installation."""

    _transport: Transport

    def list(self) -> Documents:
        """Return all pools by name."""
        found: Documents = []
        path: str | None = "/pools/"
        while path is not None:
            page = self._transport.json(Call("GET", path))
            found += page["results"]
            path = page["next"] and self._transport.path_of(page["next"])
        return found

    def get(self, name: str) -> JsonObject:
        """Return a pool. Raises NotFound."""
        answer: JsonObject = self._transport.json(Call("GET", _path(name)))
        return answer

    def create(self, name: str, facts: Mapping[str, object]) -> JsonObject:
        """Make a pool. Raises Conflict if there is one of this name."""
        answer: JsonObject = self._transport.json(Call("POST", "/pools/", body={"name": name, **facts}))
        return answer

    def change(self, name: str, changes: Mapping[str, object]) -> JsonObject:
        """Change size (`size`, or `min` and `max`), pause, drivers, template, labels or settings. Raises NotFound."""
        answer: JsonObject = self._transport.json(Call("PATCH", _path(name), body=dict(changes), repeatable=True))
        return answer

    def events(self, name: str, *, limit: int = 20) -> Documents:
        """Return what happened to a pool, newest first."""
        call = Call("GET", f"{_path(name)}events/", params=[("page_size", str(limit))])
        answer: Documents = self._transport.json(call)["results"]
        return answer


def _path(name: str) -> str:
    return f"/pools/{quote(name, safe='')}/"
