"""A need as it is asked for: its kind, and the jobs that it is for, by id, by their place in the batch, or as a group."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.documents import Document, JsonValue
from scheduler.rules.lifecycle.needs import NeedKind


@dataclass(frozen=True, slots=True)
class NewNeed:
    """One need. One of `job`, `group` and `any_of` is given.

    A job is an id, `"@3"` for the fourth of the batch, or `"=name"` for the one of the batch with that `key`. A group is an
    id, or a name: of a group of the batch, else of the newest of the project. Of a group, `tolerate` members may end badly,
    and with `pairwise` it is the member with the job's own place in its group that is needed. `wires` says that the job
    takes outputs of it.
    """

    job: int | str | None = None
    group: int | str | None = None
    any_of: tuple[int | str, ...] = ()
    after: NeedKind = NeedKind.OK
    allow_skipped: bool = False
    tolerate: int = 0
    tolerate_percent: float = 0.0
    pairwise: bool = False
    wires: bool = False
    said_at: str | None = None
    """The field that implies it; none where it stands in `needs`."""

    def tolerated(self, members: int) -> int:
        """Return how many of so many members may end badly."""
        return max(self.tolerate, int(members * self.tolerate_percent / 100))


@dataclass(frozen=True, slots=True)
class NewWire:
    """An input of a new job that it takes from what it needs: outputs, each of the need in that place of its `needs`.

    `default` is what it is where the outputs are missing. With `texts` a property becomes what the input takes: see
    `scheduler.rules.workflow.texts`.
    """

    sources: tuple[tuple[int, str], ...]
    default: JsonValue = None
    has_default: bool = False
    texts: bool = False

    def document(self) -> Document:
        """Return what is stored."""
        default: Document = {"default": self.default} if self.has_default else {}
        texts: Document = {"texts": True} if self.texts else {}
        return {"from": [[place, output] for place, output in self.sources], **default, **texts}
