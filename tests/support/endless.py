"""Projects with endless work on a fleet: their jobs, and what each of them held while all had some."""

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scheduler.replay.replay import ReplayCluster, ReplayResult
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.resources import NOTHING, Resources


class Kind(NamedTuple):
    """Jobs alike: what each member asks for, how many members, and between how many seconds they run."""

    need: Resources
    members: int = 1
    seconds: tuple[float, float] = (600.0, 1800.0)

    def share(self, fleet: Resources) -> float:
        """The dominant share of one job."""
        return self.need.times(self.members).dominant_share(fleet)


def endless(
    chance: random.Random, kind: Kind, project: int, fleet: Resources, *, since: float = 0.0, until: float
) -> list[TraceJob]:
    """Jobs that all wait from `since` on: enough to keep the whole fleet busy until then."""
    shortest, longest = kind.seconds
    enough = (until - since) / ((shortest + longest) / 2) / kind.share(fleet)
    return [
        TraceJob(project * 10**6 + number, since, chance.uniform(shortest, longest), kind.need, longest, (project,), project,
                 count=kind.members)
        for number in range(int(1.1 * enough) + 10)
    ]  # fmt: skip


def watch(jobs: Iterable[TraceJob], nodes: Sequence[Node], policy: Policy, until: float) -> ReplayResult:
    """What happens up to a moment, in virtual time, under the real `place`."""
    world = ReplayCluster(sorted(jobs, key=lambda job: job.submitted), nodes, policy, seed=1)
    while world.step() and world.outcome.moments[-1][0] < until:
        pass
    return world.outcome


def held(outcome: ReplayResult, project: int, fleet: Resources, *, since: float, until: float) -> float:
    """The mean dominant share of the fleet that a project held between two moments."""
    area = sum(
        job.requires.times(job.count).dominant_share(fleet) * max(0.0, min(until, at + job.run_s) - max(at, since))
        for job in outcome.jobs
        if job.project_id == project and (at := outcome.started.get(job.id, until)) < until
    )
    return area / (until - since)


def ran_out(outcome: ReplayResult, project: int) -> bool:
    """Whether a project had no more work, so that what it held says nothing."""
    return all(job.id in outcome.started for job in outcome.jobs if job.project_id == project)


def capacity(nodes: Iterable[Node]) -> Resources:
    """What the nodes have together."""
    whole = NOTHING
    for node in nodes:
        whole = whole.add(node.capacity)
    return whole
