"""What operators have set: modes, pauses, limits, weights. Read whole by one tick, never changed by rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.rules.cluster.avoidance import AVOIDED_FROM
from scheduler.rules.cluster.shapes import Shape

_UNITS = {"cpus": "cpus", "mem": "MiB of mem", "jobs": "executions"}


class Mode(StrEnum):
    """Which of two jobs of equal priority and share goes first."""

    FIFO = "FIFO"
    """The one that waits longest, weighed against the work it asks for where `Policy.weighing` is on."""
    LIFO = "LIFO"
    """The one that came last."""


class Packing(StrEnum):
    """How a pool's nodes are filled."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Quota:
    """What a project may hold at one time; None is no limit. Thousandths for cpus and mem."""

    cpus: int | None = None
    mem: int | None = None
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one tick.

    `credits` is the share of the fleet by which each project is lifted for what it is owed (`fairshare.Lag`); `weights` default to 1.
    `reservations` is how many of the first jobs that cannot start get a place kept for them, in each set of nodes that jobs ask
    for (at most one per 32 nodes, one at least); 0 turns that off, and with it all protection of large jobs. `backfill` off lets nothing pass a job that cannot start.
    `weighing` off orders by age alone, `predict` off takes limits for run times: the classic policies.
    """

    mode: Mode = Mode.FIFO
    weighing: bool = True
    backfill: bool = True
    predict: bool = True
    scheduler_paused: bool = False
    paused_projects: frozenset[int] = frozenset()
    paused_types: frozenset[int] = frozenset()
    paused_pools: frozenset[str] = frozenset()
    max_scheduled: Mapping[int, int] = field(default_factory=dict)
    quotas: Mapping[int, Quota] = field(default_factory=dict)
    weights: Mapping[int, float] = field(default_factory=dict)
    credits: Mapping[int, float] = field(default_factory=dict)
    packing: Mapping[str | None, Packing] = field(default_factory=dict)
    reservations: int = 4
    launch_failures: int = AVOIDED_FROM
    preemption: bool = False


def never_allowed(shape: Shape, quota: Mapping[str, int | None], project: str) -> str | None:
    """Say why no job of this shape could ever start in the project; None where it could. Thousandths for cpus and mem."""
    needs = {"cpus": shape.requires.cpus, "mem": shape.requires.mem, "jobs": 1}
    beyond = [
        f"{_amount(name, most)} {_UNITS[name]}, and it asks for {_amount(name, need * shape.count)}"
        for name, need in needs.items()
        if (most := quota.get(name)) is not None and need * shape.count > most
    ]
    if not beyond:
        return None
    return f"it cannot be placed: the quota of the project {project} allows at most {'; '.join(beyond)}"


def _amount(name: str, amount: int) -> str:
    return f"{amount if name == 'jobs' else amount / 1000:.12g}"
