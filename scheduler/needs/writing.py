"""Writing the needs of a batch in the transaction that makes its jobs: parents are locked, and those that have ended are settled at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from sqlalchemy import Connection

from scheduler.errors import FaultList, FaultRoom, NotFound
from scheduler.identifiers import JobId, ProjectId
from scheduler.needs.batch import BatchNeeds, EarlierEntry, ReadNeed
from scheduler.rules.lifecycle.needs import NeedKind
from scheduler.store.needs import changes, edges
from scheduler.store.needs.edges import EarlierJob, KnownGroup, NeedEdge

_AT_ONCE = 20_000
"""Edges of one statement: the session would be ended if hundreds of thousands were made between two of them."""


@dataclass(slots=True)
class _Known:
    """Jobs and groups that were there before, locked."""

    jobs: Mapping[int, EarlierJob]
    groups: Mapping[int | str, KnownGroup]
    members: Mapping[tuple[int, int], JobId]
    levels: dict[int, int] = field(default_factory=dict)
    faults: dict[int, FaultList] = field(default_factory=dict)
    room: FaultRoom = field(default_factory=FaultRoom)

    def note(self, number: int, sentence: str, where: str) -> None:
        self.faults.setdefault(number, FaultList(self.room)).add(NotFound(sentence, field=where))


def write(
    tx: Connection,
    project_id: ProjectId,
    read: BatchNeeds,
    ids: Mapping[int, JobId],
    fresh: Collection[int],
    made_groups: dict[str, int] | None = None,
) -> dict[int, FaultList]:
    """Write needs and groups of the fresh jobs of a batch, whose rows are there; return what is wrong, by their numbers.

    `ids` are of all jobs of the batch so far, by number. A batch may be written in several parts, parents first: then
    `made_groups` keeps the groups of the parts before. After a fault the transaction is to be undone.
    """
    if not read.needs and not read.groups and not read.plans:
        return {}
    fresh_set = set(fresh)
    made = {number for number in fresh if number in read.needs}
    own = {name: members for name, members in read.groups.items() if not fresh_set.isdisjoint(members)}
    known = _known(tx, project_id, read, ids, made, fresh_set, {*own, *(made_groups or ())})
    group_ids = _groups(tx, project_id, read, ids, fresh_set, own, {} if made_groups is None else made_groups)
    groups: dict[int | str, KnownGroup] = {
        name: KnownGroup(group_id, name, len(read.groups[name]), ids[read.groups[name][-1]])
        for name, group_id in group_ids.items()
        if read.groups[name][-1] in ids
    }
    all_groups = {**known.groups, **groups}
    of_alternatives: list[int] = []
    rows = (row for number in sorted(made) for row in _rows(number, read, ids, known, all_groups))
    while part := list(islice(rows, _AT_ONCE)):
        of_alternatives += _insert(tx, project_id, part)
    if known.faults:
        return known.faults
    edges.mark(tx, known.levels)
    edges.insert_plans(tx, {ids[number]: read.plans[number] for number in fresh if number in read.plans})
    changes.tell(tx, {ids[number] for number in fresh if number in read.plans and number not in read.needs})
    ended = [one.id for one in known.jobs.values() if one.is_ended]
    looked_at = {one.id for one in known.groups.values()} | set(of_alternatives)
    if made and (ended or looked_at):
        changes.settle_new(tx, [ids[number] for number in made], ended, sorted(looked_at))
    return {}


def _insert(tx: Connection, project_id: ProjectId, rows: Sequence[NeedEdge | _Alternatives]) -> list[int]:
    """Write edges; return the groups that were made of alternatives."""
    made = edges.new_groups(tx, project_id, [(None, row.jobs) for row in rows if isinstance(row, _Alternatives)])
    numbers = iter(made)
    edges.insert(tx, [row.edge(next(numbers)) if isinstance(row, _Alternatives) else row for row in rows])
    return made


def _groups(
    tx: Connection,
    project_id: ProjectId,
    read: BatchNeeds,
    ids: Mapping[int, JobId],
    fresh: Collection[int],
    own: Mapping[str, Sequence[int]],
    made: dict[str, int],
) -> dict[str, int]:
    """Make the groups of a batch that are new, add its fresh members to all of them, and return the groups by name."""
    new = [name for name in own if name not in made]
    made.update(zip(new, edges.make_groups(tx, project_id, new, still_open=read.still_open), strict=True))
    # Of a group that is new the members of a replayed request belong to it, too.
    joining = {name: own[name] if name in new else [n for n in own[name] if n in fresh] for name in own}
    edges.add_members(
        tx, [(made[name], ids[n], read.places[n]) for name, members in joining.items() for n in members if n in ids]
    )
    return made


def _known(
    tx: Connection,
    project_id: ProjectId,
    read: BatchNeeds,
    ids: Mapping[int, JobId],
    made: Collection[int],
    fresh: Collection[int],
    own: Collection[str],
) -> _Known:
    """Lock what the needs of these jobs point to outside of what is made now."""
    needs = [need for number in made for need in read.needs[number]]
    named = [one for need in needs for one in need.jobs]
    jobs = {one for one in named if isinstance(one, int)}
    jobs |= {ids[one.number] for one in named if isinstance(one, EarlierEntry) and one.number not in fresh}
    groups = {need.group for need in needs if need.group is not None and need.group not in own}
    found = edges.lock_groups(
        tx, project_id, [one for one in groups if isinstance(one, int)], [one for one in groups if isinstance(one, str)]
    )
    started = [need.group for need in needs if need.asked.after is NeedKind.START and need.group is not None]
    edges.mark_members(tx, {found[one].id for one in started if one in found})
    pairs = [
        (found[need.group].id, read.places[number])
        for number in made
        for need in read.needs[number]
        if need.asked.pairwise and need.group in found and number in read.places
    ]
    members = {pair: one for pair, one in zip(pairs, edges.members_at(tx, pairs), strict=True) if one is not None}
    return _Known(edges.lock_parents(tx, project_id, {*jobs, *members.values()}), found, members)


@dataclass(frozen=True, slots=True)
class _Alternatives:
    """A need for one of several jobs: its edge is for a group that is made of them."""

    asked: NeedEdge
    jobs: Sequence[JobId]

    def edge(self, group_id: int) -> NeedEdge:
        """Return the edge to the group that was made of them."""
        return replace(self.asked, group_id=group_id, any_member=True)


def _rows(
    number: int,
    read: BatchNeeds,
    ids: Mapping[int, JobId],
    known: _Known,
    groups: Mapping[int | str, KnownGroup],
) -> Iterator[NeedEdge | _Alternatives]:
    """Yield the edges of one new job."""
    for need in read.needs[number]:
        if need.group is not None:
            yield from _to_group(number, need, read, ids, known, groups)
            continue
        parents = [parent for one in need.jobs if (parent := _parent(number, need, one, ids, known)) is not None]
        if not parents or len(parents) < len(need.jobs):
            continue
        edge = _edge(ids[number], need, max(parents))
        yield _Alternatives(edge, sorted(set(parents))) if need.asked.any_of else edge


def _parent(
    number: int, need: ReadNeed, one: EarlierEntry | int, ids: Mapping[int, JobId], known: _Known
) -> JobId | None:
    job_id = ids[one.number] if isinstance(one, EarlierEntry) else JobId(one)
    if isinstance(one, EarlierEntry) and job_id not in known.jobs:
        return job_id  # made in this very transaction
    where = f"{need.where}.{'any_of' if need.asked.any_of else 'job'}"
    if job_id not in known.jobs or job_id >= ids[number]:
        known.note(number, f"there is no job {one} that it could need", where)
        return None
    level = 2 if need.asked.after is NeedKind.START else 1
    known.levels[job_id] = max(known.levels.get(job_id, 0), level)
    return job_id


def _to_group(
    number: int,
    need: ReadNeed,
    read: BatchNeeds,
    ids: Mapping[int, JobId],
    known: _Known,
    groups: Mapping[int | str, KnownGroup],
) -> Iterator[NeedEdge]:
    where = f"{need.where}.group"
    group = groups.get(need.group) if need.group is not None else None
    if group is None or group.last_id >= ids[number]:
        known.note(number, f"there is no group {need.group!r} that it could need", where)
        return
    if not need.asked.pairwise:
        yield _edge(ids[number], need, group.last_id, group)
        return
    place = read.places.get(number)
    if place is None:
        known.note(number, "only a member of a group can need the member of another one: give it a group", where)
        return
    own = read.groups.get(group.name, ()) if group.name is not None and group.id not in known.groups else ()
    member = known.members.get((group.id, place)) if not own else ids[own[place]] if place < len(own) else None
    if member is None:
        known.note(number, f"the group {need.group!r} has {group.size} members, and none in place {place}", where)
        return
    if not own:
        known.levels[member] = max(known.levels.get(member, 0), 2 if need.asked.after is NeedKind.START else 1)
    yield _edge(ids[number], need, member)


def _edge(job_id: JobId, need: ReadNeed, needs_id: JobId, group: KnownGroup | None = None) -> NeedEdge:
    asked = need.asked
    return NeedEdge(
        job_id,
        need.place,
        needs_id,
        None if group is None else group.id,
        asked.after.value,
        any_member=False,
        tolerate=0 if group is None else asked.tolerated(group.size),
        allow_skipped=asked.allow_skipped,
        wires=asked.wires,
    )
