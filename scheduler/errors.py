"""Errors for clients: the class says what went wrong, and `kind` is the stable word that clients may branch on.

Expected outcomes of a race are return values, not exceptions. The text of each exception is one clear sentence for a
person. `field` names the part of the request that is wrong, if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

W = TypeVar("W")

MOST_FAULTS = 100
"""Most faults that one error tells, and that a request is searched for; how many more there are stands in its sentence."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request, and the part of it that is at fault, if one is."""

    field: str | None
    sentence: str


class GangerError(Exception):
    """A request of a client cannot be fulfilled; str() is the sentence to show.

    `faults` has all that is wrong where that is more than one thing, but for those that are only counted, `more`; `field` is that of
    the first.
    """

    kind: ClassVar[str] = "error"

    def __init__(self, sentence: str, *, field: str | None = None, faults: Sequence[Fault] = (), more: int = 0) -> None:
        super().__init__(sentence)
        self.field = field
        self.faults = tuple(faults[:MOST_FAULTS]) or (Fault(field, sentence),)
        self.more = more + max(0, len(faults) - MOST_FAULTS)


class InvalidInput(GangerError):
    """The request itself is wrong; repeating it unchanged will not help."""

    kind = "invalid-input"


class NotFound(GangerError):
    """The thing does not exist, or it belongs to somebody else."""

    kind = "not-found"


class Purged(GangerError):
    """The thing was there, and is kept no longer."""

    kind = "purged"


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


def together(errors: Sequence[GangerError], *, more: int = 0) -> GangerError:
    """Return one error that tells the faults of all of these; of their class where they have the same, else InvalidInput.

    `more` is how many faults there are beside these.
    """
    first = errors[0]
    if len(errors) == 1 and not more:
        return first
    more += sum(error.more for error in errors)
    faults = [fault for error in errors for fault in error.faults]
    same = all(type(error) is type(first) for error in errors)
    sentence = in_words(faults, more=more)
    return (type(first) if same else InvalidInput)(sentence, field=faults[0].field, faults=faults, more=more)


def renamed(error: GangerError, names: Mapping[str, str]) -> GangerError:
    """Return an error with these fields, and parts of them, under other names: those of the client that wrote them."""
    faults = [Fault(_renamed(fault.field, names), fault.sentence) for fault in error.faults]
    sentence = str(error) if len(faults) == 1 else in_words(faults, more=error.more)
    return type(error)(sentence, field=faults[0].field, faults=faults, more=error.more)


def _renamed(field: str | None, names: Mapping[str, str]) -> str | None:
    for name, said in names.items():
        if field is not None and (field == name or field.startswith((f"{name}.", f"{name}["))):
            return said + field.removeprefix(name)
    return field


def in_words(faults: Sequence[Fault], *, more: int = 0) -> str:
    """Return several faults as one sentence, each with its field; `more` is how many there are beside these."""
    told = [_told(fault) for fault in faults[:MOST_FAULTS]]
    more += len(faults) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _told(fault: Fault) -> str:
    return fault.sentence if fault.field is None else f"{fault.field}: {fault.sentence}"


class FaultRoom:
    """How many more faults of one request are kept: lists of faults that belong together share it."""

    def __init__(self, left: int = MOST_FAULTS) -> None:
        self.left = left


class FaultList:
    """Collects what is wrong with a request, so that all of it is told at once; what there is no room for is only counted.

    A request of some megabytes can have a million faults, and nobody reads them.
    """

    def __init__(self, room: FaultRoom | None = None) -> None:
        self._room = FaultRoom() if room is None else room
        self._found: list[GangerError] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._found or self._more)

    @property
    def is_told(self) -> bool:
        """Whether any of what was noted is told."""
        return bool(self._found)

    @property
    def count(self) -> int:
        """How many faults were noted."""
        return self._more + sum(len(error.faults) + error.more for error in self._found)

    def add(self, error: GangerError) -> None:
        """Note one error."""
        if self._room.left <= 0:
            self._more += len(error.faults) + error.more
            return
        self._room.left -= len(error.faults)
        self._found.append(error)

    def note(self, sentence: str, *, field: str | None) -> None:
        """Note something that is invalid."""
        self.add(InvalidInput(sentence, field=field))

    def first(self, wrong: Sequence[W]) -> Sequence[W]:
        """Return the first of many things that are wrong, as many as there is room for; the others count as noted."""
        told = wrong[: max(0, self._room.left)]
        self._more += len(wrong) - len(told)
        return told

    def count_more(self, number: int) -> None:
        """Note so many things that are wrong, of which nothing else is told."""
        self._more += number

    def together(self) -> GangerError:
        """Return one error with all that was noted; there must be something."""
        if not self._found:
            return InvalidInput(f"there are {self._more} more faults, after {MOST_FAULTS} that are told")
        return together(self._found, more=self._more)

    def raise_all(self) -> None:
        """Raise one error with all that was noted; nothing where that is none."""
        if self:
            raise self.together()
