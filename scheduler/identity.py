"""Who asks for something, and what they may do: known to every verb that acts for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from scheduler.identifiers import ProjectId


class Role(IntEnum):
    """What a user's token allows; each role may do what the ones before it may."""

    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `project_id` None is every project; `role` None is a node, which reaches only the node protocol."""

    token_id: int
    name: str
    role: Role | None
    project_id: ProjectId | None = None
    project: str | None = None

    @property
    def is_node(self) -> bool:
        """Whether a node speaks, not a user."""
        return self.role is None
