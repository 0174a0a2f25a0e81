"""The interface of drivers, which start and remove the nodes of a pool (as cloud providers do for a cluster autoscaler).

Each platform has a class. A driver serves one pool. Every call may be repeated, may block for seconds, and raises `DriverTrouble` with a sentence
for people when the platform cannot be reached. The autoscaler decides which node leaves: it drains the node first, and
`retire` only removes what is left of a node that has gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scheduler.rules.cluster.resources import Resources


class DriverTrouble(Exception):
    """The platform cannot be reached, or it refuses; str() is the sentence to show."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One node as its driver knows it, registered or not. `running` is false once the node's process has ended."""

    name: str
    running: bool = True


@dataclass(frozen=True, slots=True)
class InstanceList:
    """All instances of the pool. With `trouble` the list is incomplete: an instance that is missing in it may still exist."""

    instances: tuple[Instance, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class NodeTemplate:
    """The pool of a new node, its amounts (None: the driver chooses) and its labels."""

    pool: str
    amounts: Resources | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Driver(Protocol):
    """Starts, lists and removes the nodes of one pool.

    `starts` is false where the driver cannot start nodes. `picks` is false where only the newest node can be removed.
    The driver is asked for its list every `look_every_s` seconds. A new node has `join_within_s` seconds to register.
    """

    starts: bool
    picks: bool
    look_every_s: float
    join_within_s: float

    def start(self, count: int, template: NodeTemplate) -> list[str]:
        """Start `count` nodes and return the names that are known by now. The nodes register by themselves."""

    def retire(self, names: Sequence[str]) -> None:
        """Remove instances that have left or never registered, and kill what still runs of them; ignores unknown names."""

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Start instances again whose process ended although the node had not left. Does nothing where the platform restarts them."""

    def listing(self) -> InstanceList:
        """Return every instance that was started and not retired."""

    def template(self) -> Resources | None:
        """Return the amounts of a new node when its pool does not set them; None if only the node itself knows."""
