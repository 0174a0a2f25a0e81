"""The node's books of its room: what it registered with, less what it has started or claimed with room."""

from __future__ import annotations

from scheduler.wire import Amounts
from workers.paths import ExecutionKey


class NodeRoom:
    """What is free on this node, by what it registered with and what it holds, in thousandths."""

    def __init__(self) -> None:
        """Before the node is registered nothing is free."""
        self._free: dict[str, int] = {}
        self._has: dict[str, int] | None = None
        self._taken: dict[ExecutionKey, dict[str, int]] = {}

    def open(self, amounts: Amounts) -> None:
        """Take over what the node registered with."""
        has = _flat(amounts)
        before = self._has or {}
        for name in has.keys() | before.keys():
            self._free[name] = self._free.get(name, 0) + has.get(name, 0) - before.get(name, 0)
        self._has = has

    def fits(self, amounts: Amounts) -> bool:
        """Return whether that much is free."""
        return self._has is not None and all(
            self._free.get(name, 0) >= one for name, one in _flat(amounts).items() if one
        )

    def take(self, key: ExecutionKey, amounts: Amounts) -> None:
        """Note what an execution holds from now on. May be repeated."""
        if key not in self._taken:
            self._taken[key] = taken = _flat(amounts)
            for name, one in taken.items():
                self._free[name] = self._free.get(name, 0) - one

    def free(self, key: ExecutionKey) -> None:
        """Note that the execution holds nothing any more. May be repeated."""
        for name, one in self._taken.pop(key, {}).items():
            self._free[name] += one


def _flat(amounts: Amounts) -> dict[str, int]:
    return {"cpus": amounts.cpus, "mem": amounts.mem, "disk": amounts.disk, **amounts.custom}
