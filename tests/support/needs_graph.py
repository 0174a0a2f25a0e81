"""Random graphs of jobs that need each other, and what becomes of them by the rules alone: no database, no clock.

A graph says of each job what it needs and how it would end if it ran. `settle` lets them end in a random order.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from scheduler.rules.lifecycle import needs
from scheduler.rules.lifecycle.moves import JOB_MOVES, JobEvent, JobStatus
from scheduler.rules.lifecycle.needs import GroupTally, NeedEffect, NeedKind, NeedVerdict, ParentState

ENDS = (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED)


@dataclass(frozen=True)
class GraphNeed:
    """A need of one job of a graph: for one or for several others, by their numbers."""

    parents: tuple[int, ...]
    kind: NeedKind = NeedKind.OK
    is_group: bool = False
    any_member: bool = False
    tolerate: int = 0
    allow_skipped: bool = False


@dataclass(frozen=True)
class Graph:
    """Jobs by number: what each needs (only smaller numbers), and how it ends if it runs."""

    needs: tuple[tuple[GraphNeed, ...], ...]
    ends: tuple[JobStatus, ...]


@dataclass
class GraphState:
    """Where the jobs of a graph stand."""

    graph: Graph
    status: list[JobStatus]
    skipped: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)

    def parent(self, number: int) -> ParentState:
        return needs.state_of(
            self.status[number],
            is_skipped=number in self.skipped,
            num_exes=int(number in self.ran),
            is_claimed=number in self.ran and self.status[number] == JobStatus.RUNNING,
        )

    def effect(self, need: GraphNeed) -> NeedEffect:
        effects = [needs.effect(need.kind, self.parent(one), allow_skipped=need.allow_skipped) for one in need.parents]
        if not need.is_group:
            return effects[0]
        tally = GroupTally.of(effects)
        if need.any_member or need.kind is NeedKind.FAIL:
            return needs.of_any(tally)
        return needs.of_all(tally, need.tolerate)

    def verdict(self, number: int) -> NeedVerdict:
        return needs.verdict(self.effect(need) for need in self.graph.needs[number])

    def judge(self, number: int) -> bool:
        """Move a job by its needs; return whether it moved."""
        status = self.status[number]
        if status not in {JobStatus.PENDING, JobStatus.BLOCKED} and number not in self.skipped:
            return False
        events = needs.moves_by(status, self.verdict(number))
        for event in events:
            assert self.status[number] in JOB_MOVES[event].sources
            self.status[number] = JOB_MOVES[event].target
            (self.skipped.add if event is JobEvent.SKIP else self.skipped.discard)(number)
        return bool(events)

    def judge_all(self, order: list[int]) -> None:
        while sum(self.judge(number) for number in order):
            pass

    def end(self, number: int) -> None:
        """Let a queued job end as the graph says; what ends well or fails has run, what is cancelled may not have."""
        self.status[number] = self.graph.ends[number]
        if self.status[number] != JobStatus.CANCELED:
            self.ran.add(number)

    def final(self) -> list[tuple[JobStatus, bool]]:
        return [(status, number in self.skipped) for number, status in enumerate(self.status)]


def random_graph(chance: random.Random, size: int) -> Graph:
    rows = [tuple(_need(chance, number) for _ in range(chance.choice((0, 1, 1, 2, 3)))) for number in range(size)]
    return Graph(
        tuple(row if number else () for number, row in enumerate(rows)), tuple(chance.choice(ENDS) for _ in range(size))
    )


def _need(chance: random.Random, number: int) -> GraphNeed:
    if number == 0:
        return GraphNeed((0,))
    kind = chance.choice((NeedKind.OK, NeedKind.OK, NeedKind.OK, NeedKind.ANY, NeedKind.FAIL))
    several = chance.random() < 0.3
    parents = tuple(sorted(chance.sample(range(number), min(number, chance.randint(1, 4) if several else 1))))
    return GraphNeed(
        parents,
        kind,
        is_group=several,
        any_member=several and chance.random() < 0.4,
        tolerate=chance.randint(0, 2) if several else 0,
        allow_skipped=chance.random() < 0.2,
    )


def begin(graph: Graph) -> GraphState:
    return GraphState(graph, [JobStatus.PENDING if row else JobStatus.QUEUED for row in graph.needs])


def settle(graph: Graph, chance: random.Random) -> GraphState:
    """Let all that is queued end, one after the other in a random order, and judge a random part of the others in between."""
    state = begin(graph)
    everyone = list(range(len(graph.needs)))
    while queued := [number for number in everyone if state.status[number] == JobStatus.QUEUED]:
        state.end(chance.choice(queued))
        for number in chance.sample(everyone, chance.randint(0, len(everyone))):
            state.judge(number)
        if not any(status == JobStatus.QUEUED for status in state.status):
            chance.shuffle(everyone)
            state.judge_all(everyone)
    return state
