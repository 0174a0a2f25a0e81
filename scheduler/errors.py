"""Every way the domain says no. The class says what went wrong, `kind` is the stable slug clients may branch on.

Expected outcomes of a race are return values, not exceptions; what is raised here ends up as one clear sentence
for a person. `field` names the part of the request that is at fault, where there is one.
"""

from __future__ import annotations

from typing import ClassVar


class GangerError(Exception):
    """Something a client asked for cannot be done; str() is the sentence to show."""

    kind: ClassVar[str] = "error"

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class InvalidInput(GangerError):
    """The request itself is wrong; repeating it unchanged will not help."""

    kind = "invalid-input"


class NotFound(GangerError):
    """There is no such thing, or it belongs to somebody else."""

    kind = "not-found"


class Conflict(GangerError):
    """The thing exists, but its state forbids what was asked."""

    kind = "conflict"


class Unauthorized(GangerError):
    """No token, or one that is not valid."""

    kind = "unauthorized"


class Forbidden(GangerError):
    """A valid token whose role does not allow this."""

    kind = "forbidden"


class TooLarge(GangerError):
    """The body is larger than this route takes."""

    kind = "too-large"


class OverQuota(GangerError):
    """The project has as much waiting as it may; try again when some of it has run."""

    kind = "over-quota"


class Unavailable(GangerError):
    """A server that is needed cannot be reached just now; try again."""

    kind = "unavailable"


class NodeReplaced(GangerError):
    """The node speaks with an epoch that is no longer its own: purge what it holds, then register again."""

    kind = "node-replaced"


class NodeNameTaken(GangerError):
    """Another machine holds this node name and is alive."""

    kind = "node-name-taken"


class SetupError(GangerError):
    """This installation cannot start; the sentence names the remedy. Commands exit with status 2."""

    kind = "setup"
