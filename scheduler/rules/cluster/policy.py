"""The settings of operators: modes, pauses, limits, weights. One tick reads them whole; rules never change them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.documents import QuotaDocument
from scheduler.rules.cluster.avoidance import AVOIDED_FROM
from scheduler.rules.cluster.shapes import Shape

_UNITS = {"cpus": "cpus", "mem": "MiB of mem", "jobs": "executions"}


class Mode(StrEnum):
    """Which of two jobs with equal priority and share goes first."""

    FIFO = "FIFO"
    """The job that has waited longest, weighed against the work it asks for where `Policy.weighing` is on."""
    LIFO = "LIFO"
    """The job that came last."""


class Packing(StrEnum):
    """How a pool's nodes are filled: one after the other, or evenly."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that a project may hold at one time, in thousandths for cpus and mem. None is no limit."""

    cpus: int | None = None
    mem: int | None = None
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of one tick.

    `credits` is the share of the fleet by which each project is lifted for what it is owed (`fairshare.Lag`).
    `weights` default to 1.

    `reservations` bounds how many of the first jobs that cannot start get a reservation, in each set of nodes that
    jobs ask for; there is also at most one for 32 nodes, and one at least. 0 turns reservations off, and with them
    all protection of large jobs. With `backfill` off, no job passes one that cannot start. With `weighing` off, age
    alone orders the jobs. `ahead_s` is how many seconds of short work may wait on a node beyond its room. With `predict` off, time limits are used as run times: the classic policies.
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
    ahead_s: float = 0.0


def beyond_quota(shape: Shape, quota: QuotaDocument) -> dict[str, tuple[int, int]]:
    """Return what a job of this shape asks more of than the quota allows: by its name the most, and what it asks for."""
    needs = (
        ("cpus", quota.get("cpus"), shape.requires.cpus),
        ("mem", quota.get("mem"), shape.requires.mem),
        ("jobs", quota.get("jobs"), 1),
    )
    return {
        name: (most, need * shape.count) for name, most, need in needs if most is not None and need * shape.count > most
    }


def never_allowed(shape: Shape, quota: QuotaDocument, project: str) -> str | None:
    """Return a sentence that says why no job of this shape could ever start in the project; None where one could.

    `quota` is in thousandths for cpus and mem.
    """
    beyond = [
        f"{_amount(name, most)} {_UNITS[name]}, and it asks for {_amount(name, asked)}"
        for name, (most, asked) in beyond_quota(shape, quota).items()
    ]
    if not beyond:
        return None
    return f"it cannot be placed: the quota of the project {project} allows at most {'; '.join(beyond)}"


def _amount(name: str, amount: int) -> str:
    return f"{amount if name == 'jobs' else amount / 1000:.12g}"
