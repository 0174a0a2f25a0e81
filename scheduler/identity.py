"""The caller of a request and its role: known to every verb that acts for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from scheduler.identifiers import NodeId, ProjectId


class Role(IntEnum):
    """The role of a user's token; each role may do everything that the roles before it may."""

    VIEWER = 1
    SUBMITTER = 2
    OPERATOR = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller. `project_id` None means every project; `role` None means a node, which may only use the node protocol.

    `node_id`, `node` and `credential` (its digest) are set for a node that shows its own credential; a join token is no node yet.
    """

    token_id: int
    name: str
    role: Role | None
    project_id: ProjectId | None = None
    project: str | None = None
    node_id: NodeId | None = None
    node: str | None = None
    credential: bytes | None = None
    expires: datetime | None = None

    @property
    def is_node(self) -> bool:
        """Whether a node speaks, not a user."""
        return self.role is None
