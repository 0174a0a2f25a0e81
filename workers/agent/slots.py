"""Slots: what an execution has for itself alone while its node holds it, a user id and the devices it asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from workers.paths import ExecutionKey

_ONE = 1000


@dataclass(frozen=True, slots=True)
class ExecutionSlot:
    """`user` is (uid, gid), None for the node's own; `gpus` are the numbers of devices, in order."""

    user: tuple[int, int] | None = None
    gpus: tuple[str, ...] = ()


class SlotAllocator:
    """Gives slots out. The id that was freed longest ago comes first, so that no id passes from one job straight to the next."""

    def __init__(
        self, user: tuple[int, int] | None, uids: tuple[int, int] | None = None, gpus: Sequence[str] = ()
    ) -> None:
        """`uids` is (first, count). When all ids are in use, `user` is shared. `gpus` are all devices of the node."""
        self._user = user
        self._first, self._count = uids or (0, 0)
        self._uids = deque(range(self._first, self._first + self._count))
        self._gpus = deque(gpus)
        self._taken: dict[ExecutionKey, ExecutionSlot] = {}
        self.has_gpus = bool(gpus)

    def allocate(self, key: ExecutionKey, gpus: int = 0) -> ExecutionSlot:
        """Return a slot for an execution, or the one that it has already. `gpus` is in thousandths, rounded up to devices."""
        if key in self._taken:
            return self._taken[key]
        user = self._user
        if self._uids:
            uid = self._uids.popleft()
            user = uid, uid
        wanted = min(-(-gpus // _ONE), len(self._gpus))
        slot = ExecutionSlot(user, tuple(sorted(self._gpus.popleft() for _ in range(wanted))))
        self._taken[key] = slot
        return slot

    def restore(self, key: ExecutionKey, slot: ExecutionSlot) -> None:
        """Give an execution of an earlier life the slot that it had."""
        if slot.user is not None and slot.user[0] in self._uids:
            self._uids.remove(slot.user[0])
        for gpu in slot.gpus:
            if gpu in self._gpus:
                self._gpus.remove(gpu)
        self._taken[key] = slot

    def free(self, key: ExecutionKey) -> None:
        """Take the slot back, if the execution has one."""
        slot = self._taken.pop(key, None)
        if slot is None:
            return
        if slot.user is not None and self._first <= slot.user[0] < self._first + self._count:
            self._uids.append(slot.user[0])
        self._gpus.extend(slot.gpus)
