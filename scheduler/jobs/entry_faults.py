"""Faults of the entries of a batch: all of them are found before any is told, each under its entry's number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from sqlalchemy import Connection

from scheduler.errors import Fault, FaultList, FaultRoom, GangerError, in_words, together
from scheduler.identifiers import ProjectId
from scheduler.jobs.new_job import NewJob
from scheduler.rules.job_type import definition as definitions
from scheduler.store.admin import errors as known_errors


class EntryError(Exception):
    """The faults of entries of a batch, by the numbers of the entries."""

    def __init__(self, errors: Mapping[int, GangerError], more: int = 0) -> None:
        super().__init__("; ".join(str(error) for error in list(errors.values())[:3]))
        self.errors, self.more = errors, more

    def named(self, numbers: Sequence[int] | None) -> GangerError:
        """Return the error for the client: by the entries' places in the request, or as it is when there is only one."""
        if numbers is None:
            return next(iter(self.errors.values()))
        placed = [_placed(numbers[number], error) for number, error in sorted(self.errors.items())]
        return together(placed, more=self.more)


class EntryFaults:
    """Collects what is wrong with each entry of a batch."""

    def __init__(self) -> None:
        self._found: dict[int, FaultList] = {}
        self._room, self._others = FaultRoom(), FaultList(FaultRoom(0))

    def of(self, number: int) -> FaultList:
        """Return the faults of one entry, to add to. All entries together have room for as many as one error tells."""
        if number in self._found:
            return self._found[number]
        return self._found.setdefault(number, FaultList(self._room)) if self._room.left > 0 else self._others

    def add(self, number: int, error: GangerError) -> None:
        """Note an error of one entry."""
        self.of(number).add(error)

    def raise_all(self) -> None:
        """Raise EntryError if anything was noted."""
        errors = {number: faults.together() for number, faults in self._found.items() if faults}
        if errors:
            raise EntryError(errors, self._others.count)


def note_retry_on(tx: Connection, project_id: ProjectId, new: Mapping[int, NewJob], faults: EntryFaults) -> None:
    """Note the words of `retry_on`, by the jobs' numbers, that are neither categories nor errors that their project knows."""
    said = {number: words for number, job in new.items() if (words := (job.overrides or {}).get("retry_on"))}
    known = known_errors.names(tx, project_id) if said else frozenset[str]()
    for number, words in said.items():
        definitions.note_retry_on(cast("list[str]", words), known, faults.of(number))


def _placed(place: int, error: GangerError) -> GangerError:
    faults = [
        Fault(f"[{place}].{fault.field}" if fault.field else f"[{place}]", fault.sentence) for fault in error.faults
    ]
    sentence = f"entry {place}: {error}" if len(faults) == 1 else in_words(faults, more=error.more)
    return type(error)(sentence, field=faults[0].field, faults=faults, more=error.more)
