"""The needs of a batch of new jobs, read before anything is written: who needs whom in it, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scheduler.documents import Document
from scheduler.errors import FaultList, FaultRoom
from scheduler.needs.new_needs import NewNeed, NewWire
from scheduler.rules.lifecycle.needs import MOST_EDGES, MOST_WRITTEN_OUT, NeedKind


class AskedJob(Protocol):
    """The fields of a new job that needs are read from; a key and a group are names within the batch."""

    @property
    def key(self) -> str | None: ...  # noqa: D102

    @property
    def group(self) -> str | None: ...  # noqa: D102

    @property
    def needs(self) -> Sequence[NewNeed] | None: ...  # noqa: D102

    @property
    def wiring(self) -> Mapping[str, NewWire] | None: ...  # noqa: D102

    @property
    def expansion(self) -> Document | None: ...  # noqa: D102

    @property
    def conditions(self) -> Sequence[Document] | None: ...  # noqa: D102

    @property
    def needs_within_s(self) -> int | None: ...  # noqa: D102

    @property
    def cache(self) -> Document | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class EarlierEntry:
    """A job of the same batch, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class ReadNeed:
    """A need whose names have become numbers of the batch (EarlierEntry) or ids of jobs that are there already.

    `jobs` has one, or the alternatives of `any_of`. Of a need for a group it is empty, and `group` is the name or id.
    """

    asked: NewNeed
    place: int
    jobs: tuple[EarlierEntry | int, ...] = ()
    group: str | int | None = None

    @property
    def where(self) -> str:
        """The field that says it."""
        return self.asked.said_at or f"needs[{self.place}]"


@dataclass(slots=True)
class BatchNeeds:
    """The needs of a batch by the jobs' numbers, the groups that it makes, and how much others wait for each job (`mark`).

    `places` has the place of each member in its group, `plans` what is to be done once a job's needs are satisfied; the
    groups that are `still_open` get more members later.
    """

    needs: dict[int, list[ReadNeed]] = field(default_factory=dict)
    groups: dict[str, list[int]] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    plans: dict[int, dict[str, object]] = field(default_factory=dict)
    still_open: set[str] = field(default_factory=set)
    levels: dict[int, int] = field(default_factory=dict)
    faults: dict[int, FaultList] = field(default_factory=dict)
    room: FaultRoom = field(default_factory=FaultRoom)
    entries: dict[int, EarlierEntry] = field(default_factory=dict)

    def of(self, number: int) -> FaultList:
        """Return the faults of one job, to add to."""
        return self.faults.setdefault(number, FaultList(self.room))

    def entry(self, number: int) -> EarlierEntry:
        """Return the job of the batch with this number, the same for all that need it."""
        known = self.entries.get(number)
        if known is None:
            known = self.entries[number] = EarlierEntry(number)
        return known

    def mark(self, number: int, kind: NeedKind) -> None:
        """Note that another job waits for the end of this one, or already for its start."""
        self.levels[number] = max(self.levels.get(number, 0), 2 if kind is NeedKind.START else 1)


def read(batch: Sequence[AskedJob]) -> BatchNeeds:
    """Return the needs of a batch. What is wrong with them is noted by the jobs' numbers in `faults`."""
    found = BatchNeeds()
    keys = _keys(batch, found)
    for number, job in enumerate(batch):
        if job.group is not None:
            members = found.groups.setdefault(job.group, [])
            found.places[number] = len(members)
            members.append(number)
            found.levels.setdefault(number, 1)
    edges = 0
    for number, job in enumerate(batch):
        if job.expansion is not None and job.group is not None:
            found.still_open.add(job.group)
        if (
            job.wiring
            or job.conditions
            or any(one is not None for one in (job.expansion, job.cache, job.needs_within_s))
        ):
            wiring = {name: wire.document() for name, wire in (job.wiring or {}).items()}
            found.plans[number] = {"wiring": wiring, "conditions": list(job.conditions or ())}
            found.plans[number] |= {"expansion": job.expansion, "cache": job.cache, "within": job.needs_within_s}
        if not job.needs:
            continue
        before = found.needs.get(number - 1)
        if before is not None and job.needs is batch[number - 1].needs and not found.faults:
            # As of the one before it: what is earlier than that one is earlier than this one, too.
            edges += sum(len(need.any_of) + 1 for need in job.needs)
            found.needs[number] = before
            continue
        written_out = sum(len(need.any_of) or need.job is not None for need in job.needs)
        edges += sum(len(need.any_of) + 1 for need in job.needs)
        if written_out > MOST_WRITTEN_OUT:
            sentence = (
                f"it names {written_out} jobs; at most {MOST_WRITTEN_OUT} are named one by one, a group has any number"
            )
            found.of(number).note(sentence, field="needs")
            continue
        found.needs[number] = [_read(number, place, need, keys, found) for place, need in enumerate(job.needs)]
    if edges > MOST_EDGES:
        found.of(0).note(f"one request has at most {MOST_EDGES} needs; name groups instead", field="needs")
    return found


def _keys(batch: Sequence[AskedJob], found: BatchNeeds) -> Mapping[str, int]:
    keys: dict[str, int] = {}
    for number, job in enumerate(batch):
        if job.key is not None and keys.setdefault(job.key, number) != number:
            found.of(number).note(f"the key {job.key!r} is there twice", field="key")
    return keys


def _read(number: int, place: int, need: NewNeed, keys: Mapping[str, int], found: BatchNeeds) -> ReadNeed:
    if need.group is not None:
        return _of_group(number, place, need, found)
    if need.job is not None and not need.any_of:
        return _of_one(number, place, need, need.job, keys, found)
    where = need.said_at or f"needs[{place}]"
    named = [(where + ".job", need.job)] if need.job is not None else []
    named += [(f"{where}.any_of[{n}]", one) for n, one in enumerate(need.any_of)]
    jobs = [_job(number, field_name, one, keys, found) for field_name, one in named]
    for one in jobs:
        if isinstance(one, EarlierEntry):
            found.mark(one.number, need.after)
    return ReadNeed(need, place, tuple(one for one in jobs if one is not None))


def _of_one(
    number: int, place: int, need: NewNeed, named: int | str, keys: Mapping[str, int], found: BatchNeeds
) -> ReadNeed:
    """Return a need for a single job: there may be a million of them, and their place is written out where it is told."""
    if isinstance(named, str) and named[:1] == "=":
        other = keys.get(named[1:])
        if other is not None and other < number:
            found.mark(other, need.after)
            return ReadNeed(need, place, (found.entry(other),))
    one = _job(number, f"{need.said_at or f'needs[{place}]'}.job", named, keys, found)
    if isinstance(one, EarlierEntry):
        found.mark(one.number, need.after)
    return ReadNeed(need, place, () if one is None else (one,))


def _of_group(number: int, place: int, need: NewNeed, found: BatchNeeds) -> ReadNeed:
    members = found.groups.get(str(need.group), []) if isinstance(need.group, str) else []
    where = f"{need.said_at or f'needs[{place}]'}.group"
    if members and members[-1] >= number:
        sentence = f"the group {need.group!r} has members that come later in the batch, or this job itself; parents stand first"
        found.of(number).note(sentence, field=where)
    for member in members:
        found.mark(member, need.after)
    return ReadNeed(need, place, group=need.group)


def _job(
    number: int, where: str, named: int | str, keys: Mapping[str, int], found: BatchNeeds
) -> EarlierEntry | int | None:
    if isinstance(named, int):
        return named
    if named.startswith("="):
        other = keys.get(named[1:])
        if other is None:
            found.of(number).note(f"no job of the batch has the key {named[1:]!r}", field=where)
            return None
    else:
        other = int(named[1:])
    if other >= number:
        sentence = (
            f"{named} is the job itself"
            if other == number
            else f"{named} comes later in the batch; parents stand first"
        )
        found.of(number).note(sentence, field=where)
        return None
    return EarlierEntry(other)
