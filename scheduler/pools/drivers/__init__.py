"""Drivers start and stop a pool's nodes, each on one kind of place; all keep one small promise.

A driver serves one pool. Every call may be repeated, may block for seconds, and raises `DriverTrouble` with a sentence
for people when its place cannot be reached. Who leaves is decided elsewhere: a node is drained first, and `retire` only
clears away what is left of one that has gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scheduler.rules.cluster.resources import Resources


class DriverTrouble(Exception):
    """The place where nodes live cannot be reached, or refuses; str() is the sentence to show."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One node as its driver knows it, whether it has registered or not. `running` is false once its process has ended."""

    name: str
    running: bool = True


@dataclass(frozen=True, slots=True)
class InstanceList:
    """All instances of the pool. With `trouble` some could not be seen: what is missing may still be there."""

    instances: tuple[Instance, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class NodeTemplate:
    """What a new node is told: its pool, its size (None: what the driver thinks fit) and its labels."""

    pool: str
    amounts: Resources | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Driver(Protocol):
    """Starts, lists and clears away the nodes of one pool.

    `starts` is false where nobody can be asked for nodes. `picks` is false where only the newest can be taken away.
    `look_every_s` is how often listing is worth its price; `join_within_s` how long a new node may take to register.
    """

    starts: bool
    picks: bool
    look_every_s: float
    join_within_s: float

    def start(self, count: int, template: NodeTemplate) -> list[str]:
        """Start `count` nodes and return their names as far as they are known by now; they register by themselves."""

    def retire(self, names: Sequence[str]) -> None:
        """Clear away instances that have left or never came, with whatever still runs of them; unknown names are fine."""

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        """Start again instances whose process ended without having left; a place that does so itself does nothing."""

    def listing(self) -> InstanceList:
        """Return every instance that was started and is not retired."""

    def template(self) -> Resources | None:
        """Return what a node without a template of its pool offers; None when only the node can tell."""
