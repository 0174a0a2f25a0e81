"""Errors for clients: the class says what went wrong, and `kind` is the stable word that clients may branch on.

Expected outcomes of a race are return values, not exceptions. The text of each exception is one clear sentence for a
person. `field` names the part of the request that is wrong, if there is one.
"""

from __future__ import annotations

from typing import ClassVar


class GangerError(Exception):
    """A request of a client cannot be fulfilled; str() is the sentence to show."""

    kind: ClassVar[str] = "error"

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class InvalidInput(GangerError):
    """The request itself is wrong; repeating it unchanged will not help."""

    kind = "invalid-input"


class NotFound(GangerError):
    """The thing does not exist, or it belongs to somebody else."""

    kind = "not-found"


class Conflict(GangerError):
    """The thing exists, but its state forbids the request."""

    kind = "conflict"


class Unauthorized(GangerError):
    """The request has no token, or a token that is not valid."""

    kind = "unauthorized"


class Forbidden(GangerError):
    """The token is valid, but its role does not allow this."""

    kind = "forbidden"


class BodyTooLarge(GangerError):
    """The body is larger than this route accepts."""

    kind = "too-large"


class OverQuota(GangerError):
    """The project has as many jobs waiting as its quota allows; try again when some of them have run."""

    kind = "over-quota"


class ServiceUnavailable(GangerError):
    """A server that is needed cannot be reached now; try again."""

    kind = "unavailable"


class NodeReplaced(GangerError):
    """The node uses an epoch that is over: it must purge what it holds, then register again."""

    kind = "node-replaced"


class NodeNameTaken(GangerError):
    """Another machine holds this node name and is alive."""

    kind = "node-name-taken"


class SetupError(GangerError):
    """The installation cannot start; the sentence names the remedy. Commands exit with status 2."""

    kind = "setup"
