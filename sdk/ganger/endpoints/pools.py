"""Pools: sets of nodes that are scaled together. Answers are documents as `/openapi.json` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast
from urllib.parse import quote

from ganger.answers import PoolEvent, PoolView
from ganger.transport import Call, Transport

PoolViews: TypeAlias = list[PoolView]
PoolEventViews: TypeAlias = list[PoolEvent]


@dataclass(frozen=True, slots=True)
class PoolsEndpoint:
    """The pools of an installation."""

    _transport: Transport

    def list(self) -> PoolViews:
        """Return all pools by name."""
        found: PoolViews = []
        path: str | None = "/pools/"
        while path is not None:
            page = self._transport.json(Call("GET", path))
            found += page["results"]
            path = page["next"] and self._transport.path_of(page["next"])
        return found

    def get(self, name: str) -> PoolView:
        """Return a pool. Raises NotFound."""
        return cast("PoolView", self._transport.json(Call("GET", _path(name))))

    def create(self, name: str, facts: Mapping[str, object]) -> PoolView:
        """Make a pool. Raises Conflict if there is one of this name."""
        return cast("PoolView", self._transport.json(Call("POST", "/pools/", body={"name": name, **facts})))

    def change(self, name: str, changes: Mapping[str, object]) -> PoolView:
        """Change size (`size`, or `min` and `max`), pause, drivers, template, labels or settings. Raises NotFound."""
        return cast("PoolView", self._transport.json(Call("PATCH", _path(name), body=dict(changes), repeatable=True)))

    def events(self, name: str, *, limit: int = 20) -> PoolEventViews:
        """Return what happened to a pool, newest first."""
        call = Call("GET", f"{_path(name)}events/", params=[("page_size", str(limit))])
        answer: PoolEventViews = self._transport.json(call)["results"]
        return answer


def _path(name: str) -> str:
    return f"/pools/{quote(name, safe='')}/"
