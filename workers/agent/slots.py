"""Slots: what an execution has for itself alone while its node holds it, a user id and the devices it asked for."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.paths import ExecutionKey

_ONE = 1000
_RESERVED = 256
"""Ids that are written down as given out before they are: one write serves them all, and one look at what is left of others."""

_LOOK_AGAIN_S = 30.0
"""How often the node looks whether what is left of user ids has gone, while it withholds some."""


@dataclass(frozen=True, slots=True)
class ExecutionSlot:
    """`user` is (uid, gid), None for the node's own; `gpus` are the numbers of devices, in order."""

    user: tuple[int, int] | None = None
    gpus: tuple[str, ...] = ()


class PositionFile:
    """The file in a node's folder that says how many user ids were given out."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "user-ids"

    def read(self) -> int:
        """Return the position; 0 if there is none yet."""
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def write(self, position: int) -> None:
        """Replace it. On a full disk the old one stays: ids then come round sooner, when nothing is left of them."""
        with contextlib.suppress(OSError):
            fresh = self._path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(str(position), encoding="ascii")
            fresh.rename(self._path)


class SlotAllocator:
    """Gives slots out. The id that was freed longest ago comes first, so that no id passes from one job straight to the next."""

    def __init__(
        self,
        user: tuple[int, int] | None,
        uids: tuple[int, int] | None = None,
        gpus: Sequence[str] = (),
        position: int = 0,
    ) -> None:
        """`uids` is (first, count); without, all have `user`. `gpus` are all devices of the node.

        `position` is how many ids earlier lives of the agent have given out.
        """
        self._user = user
        self._first, self._count = uids or (0, 0)
        self._uids = deque(range(self._first, self._first + self._count))
        self._uids.rotate(-position)
        self._withheld: list[int] = []
        self._look_at = 0.0
        self._given = position
        self._reserved = position
        self._gpus = deque(gpus)
        self._taken: dict[ExecutionKey, ExecutionSlot] = {}
        self.has_gpus = bool(gpus)

    def allocate(self, key: ExecutionKey, gpus: int = 0) -> ExecutionSlot:
        """Return a slot for an execution, or the one that it has already. `gpus` is in thousandths, rounded up to devices.

        Raises IndexError when all user ids are in use: see `is_exhausted`. Two executions never share one.
        """
        if key in self._taken:
            return self._taken[key]
        user = self._user
        if self._count:
            uid = self._uids.popleft()
            user = uid, uid
            self._given += 1
        wanted = min(-(-gpus // _ONE), len(self._gpus))
        slot = ExecutionSlot(user, tuple(sorted(self._gpus.popleft() for _ in range(wanted))))
        self._taken[key] = slot
        return slot

    def is_exhausted(self, besides: int) -> bool:
        """Return whether no user id would be left after `besides` more executions."""
        return bool(self._count) and len(self._uids) <= besides

    def new_reserve(self) -> int | None:
        """Return the position to write down, so that the next life begins beyond all ids given out; None if it is written."""
        if self._given < self._reserved:
            return None
        self._reserved = self._given + min(_RESERVED, -(-self._count // 2))
        return self._reserved

    @property
    def free_users(self) -> frozenset[int]:
        """The user ids that no execution has."""
        return frozenset((*self._uids, *self._withheld))

    def is_look_due(self, now: float) -> bool:
        """Return whether to look again now for what is left of the ids that are withheld."""
        if not self._withheld or now < self._look_at:
            return False
        self._look_at = now + _LOOK_AGAIN_S
        return True

    @property
    def reserved(self) -> int:
        """The position that was written down last."""
        return self._reserved

    def withhold(self, uids: Collection[int]) -> None:
        """Something is left of these ids: those that are free are given to nobody, until a later call names them no more."""
        free = [*self._uids, *self._withheld]
        self._withheld = [uid for uid in free if uid in uids]
        self._uids = deque(uid for uid in free if uid not in uids)

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
