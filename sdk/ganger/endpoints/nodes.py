"""Nodes: the machines that run jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ganger import paging
from ganger.paging import Filter
from ganger.records import Node
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class NodesEndpoint:
    """The machines."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Node]:
        """Yield nodes page by page, with capacity, what is free and what runs."""
        return paging.every(self._transport, Node, "/nodes/", paging.params(filters), limit=limit)

    def get(self, node_id: int) -> Node:
        """Return a node. Raises NotFound."""
        return Node.read(self._transport.json(Call("GET", f"/nodes/{node_id}/")))

    def change(self, node_id: int, changes: Mapping[str, object]) -> Node:
        """Pause (`is_paused`, `pause_reason`), drain (`is_draining`) or retire (`is_active`) a node."""
        call = Call("PATCH", f"/nodes/{node_id}/", body=dict(changes), repeatable=True)
        return Node.read(self._transport.json(call))
