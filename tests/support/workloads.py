"""Workloads made by a generator: the same seed gives the same jobs, another seed other users with the same habits.

Each family exaggerates one habit of people or programs which real logs show, so that a rule which leans on the habits
of one log fails on another. Loads are set by the time over which the submissions are stretched.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil, exp, log, log2

from scheduler.identifiers import NodeId
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.resources import Resources

_HOUR_S = 3600.0
_USUAL_LIMITS_S = tuple(hours * _HOUR_S for hours in (0.25, 0.5, 1, 2, 4, 8, 12, 18, 24, 36, 48, 72))
"""The limits that people write: what they think a job needs is rounded up to one of them."""

_WORKING_DAY, _NIGHT, _WEEKEND = range(8, 20), 0.25, 0.35
"""The hours in which most is submitted, and the part of that which is in an hour of the night, and of the weekend."""

_CRASH_S = (1.0, 90.0)
"""The run time of a job that crashes at its start."""

_THINK_S = 600.0
"""The mean time between two submissions of one sitting."""

_WIDE = 0.25
"""Wide jobs ask for this part of the machine at least."""

_ARRAY_WIDTH = 1 / 32
"""The part of the machine that a job of an array asks for at most."""


@dataclass(frozen=True, slots=True)
class Family:
    """The habits of one family of workloads.

    `users` come back in proportion to rank ** -`loyalty` (0: all alike). `wide` is the share of jobs of a fourth of the machine or more.
    `spread` is the deviation of the logarithm of one user's run times; `shift` is the chance that all jobs of a sitting run ten times
    as long as the user's before. Limits exceed usual run times by a factor of each user, up to `guess`. `crashes` is the share of
    jobs that end within 90 s whatever their limit. `arrays` is the share of submissions that are arrays, of up to `array` equal jobs.
    `sitting` is the mean number of submissions at one sitting. `load` is the work submitted over the capacity meanwhile.
    The fleet is `nodes` of `cpus` each; with `memory` jobs ask for an uneven amount of it too.
    """

    name: str
    users: int = 40
    loyalty: float = 1.0
    wide: float = 0.06
    spread: float = 1.0
    shift: float = 0.05
    guess: float = 6.0
    crashes: float = 0.05
    arrays: float = 0.1
    array: int = 30
    sitting: int = 6
    load: float = 0.75
    nodes: int = 1
    cpus: int = 256
    memory: bool = False
    projects: int = 1


FAMILIES = (
    Family("plain"),
    Family("crashes", crashes=0.25, guess=20.0, load=0.7),
    Family("tails", spread=1.8, shift=0.15, load=0.7),
    Family("crowd", users=600, loyalty=0.0, spread=1.4),
    Family("arrays", arrays=0.4, array=120, spread=0.6),
    Family("bursts", sitting=40, users=15, load=0.65),
    Family("wide", wide=0.15, guess=3.0, load=0.65),
    Family("full", crashes=0.15, guess=12.0, spread=1.4, load=0.85),
    Family("honest", guess=1.0, crashes=0.02, spread=1.2),
)
"""Families on one machine."""

FLEETS = (
    Family("fleet", nodes=16, cpus=16),
    Family("fleet-memory", nodes=12, cpus=32, memory=True, crashes=0.15, guess=12.0, load=0.8),
    Family("fleet-tails", nodes=16, cpus=16, spread=2.0, shift=0.15, wide=0.1, load=0.8),
    Family("fleet-projects", nodes=16, cpus=16, projects=3, crashes=0.1, load=0.9),
)
"""Families on several nodes: what is wider than a node comes as a gang."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Jobs by submission, and the nodes that they are made for."""

    name: str
    nodes: tuple[Node, ...]
    jobs: tuple[TraceJob, ...]


@dataclass(frozen=True, slots=True)
class _User:
    number: int
    usual: float
    width: float
    guess: float


def workload(family: Family, seed: int, jobs: int = 2000) -> Workload:
    """So many jobs of a family; the seed decides everything else."""
    chance = random.Random(f"{family.name} {seed}")
    users = [_user(family, number, chance) for number in range(family.users)]
    weights = [(number + 1.0) ** -family.loyalty for number in range(family.users)]
    sittings: list[list[TraceJob]] = []
    wanted = jobs
    while wanted > 0:
        sittings.append(_sitting(family, chance.choices(users, weights)[0], chance)[:wanted])
        wanted -= len(sittings[-1])
    ordered = sorted(_on_the_calendar(family, sittings, chance), key=lambda job: job.submitted)
    numbered = tuple(replace(job, id=number) for number, job in enumerate(ordered, 1))
    return Workload(f"{family.name}-{seed}", tuple(_nodes(family)), numbered)


def _user(family: Family, number: int, chance: random.Random) -> _User:
    return _User(
        number,
        usual=chance.gauss(log(1200.0), 1.2),
        width=chance.uniform(0.0, 0.7),
        guess=exp(chance.uniform(0.0, log(family.guess))),
    )


def _sitting(family: Family, user: _User, chance: random.Random) -> list[TraceJob]:
    """What one user submits at one sitting; times count from its begin."""
    at, found, program = 0.0, list[TraceJob](), chance.randrange(3)
    centre = user.usual + 0.7 * program + (log(10.0) if chance.random() < family.shift else 0.0)
    for _ in range(1 + int(chance.expovariate(1.0 / family.sitting))):
        at += chance.expovariate(1.0 / _THINK_S)
        limit_s = _limit(user.guess * exp(centre + family.spread * abs(chance.gauss(0.0, 0.7))))
        copies = 1 + chance.randrange(family.array) if chance.random() < family.arrays else 1
        count, requires = _needs(family, user, chance, 1.0 if copies == 1 else _ARRAY_WIDTH)
        kind = (user.number, program)
        like = TraceJob(0, at, 0.0, requires, limit_s, kind, user.number % family.projects, count=count)
        found += [replace(like, run_s=_run_s(family, centre, limit_s, chance)) for _ in range(copies)]
    return found


def _run_s(family: Family, centre: float, limit_s: float, chance: random.Random) -> float:
    if chance.random() < family.crashes:
        return chance.uniform(*_CRASH_S)
    return min(max(1.0, exp(chance.gauss(centre, family.spread))), limit_s)


def _limit(needed_s: float) -> float:
    return next((limit for limit in _USUAL_LIMITS_S if limit >= needed_s), _USUAL_LIMITS_S[-1])


def _needs(family: Family, user: _User, chance: random.Random, widest: float) -> tuple[int, Resources]:
    """Members, and what each asks for, at most `widest` of the machine; wider than a node makes a gang of equal members."""
    machine = family.nodes * family.cpus
    if chance.random() < family.wide and widest > _WIDE:
        cpus = ceil(machine * chance.uniform(_WIDE, widest))
    else:
        share = min(0.75, max(0.0, chance.gauss(user.width, 0.15)))
        cpus = int(min(2.0 ** round(log2(machine) * share), machine * widest))
    count = ceil(cpus / family.cpus)
    cpus = ceil(cpus / count)
    if not family.memory:
        return count, Resources.of(cpus=cpus)
    return count, Resources.of(cpus=cpus, mem=min(family.cpus * 4000, int(cpus * 4000 * exp(chance.gauss(-0.5, 0.8)))))


def _nodes(family: Family) -> Iterator[Node]:
    mem = family.cpus * 4000 if family.memory else 0
    for number in range(1, family.nodes + 1):
        yield Node(NodeId(number), Resources.of(cpus=family.cpus, mem=mem), name=f"node-{number}")


def _on_the_calendar(family: Family, sittings: Sequence[list[TraceJob]], chance: random.Random) -> Iterator[TraceJob]:
    """Let the sittings begin within the time that gives the load, most of them in working hours."""
    work = sum(job.run_s * job.requires.cpus * job.count for jobs in sittings for job in jobs)
    span_h = ceil(work / (family.load * family.nodes * family.cpus * 1000) / _HOUR_S) + 1
    passed = list(accumulate(_busy(hour) for hour in range(span_h)))
    for jobs in sittings:
        hour = bisect_right(passed, chance.uniform(0.0, passed[-1]))
        begin = (min(hour, span_h - 1) + chance.random()) * _HOUR_S
        for job in jobs:
            yield replace(job, submitted=round(begin + job.submitted))


def _busy(hour: int) -> float:
    day, of_day = divmod(hour, 24)
    return (1.0 if of_day in _WORKING_DAY else _NIGHT) * (_WEEKEND if day % 7 > 4 else 1.0)
