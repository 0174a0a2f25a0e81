"""The executions that hold room: placed or running, not yet released.

They are kept as columns, so that the ends of a hundred thousand executions are sorted in one call, and with the sums
that limits and fair share need.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from scheduler.identifiers import ExecutionId, JobId, JobTypeId, NodeId, ProjectId, ShapeId
from scheduler.rules.cluster.fairshare import LONGEST_HORIZON_S
from scheduler.rules.cluster.resources import NOTHING, Resources

_FIRST_ROWS = 64

_NO_SHAPE = ShapeId(0)

_TURNOVER_S = 100 * LONGEST_HORIZON_S
"""The period over which turnover is counted: long enough that even the longest run that matters ends in it often."""


@dataclass(frozen=True, slots=True)
class ActiveExecution:
    """One execution that holds `resources` on a node.

    `started` is the time of its placement, `expected_s` the run time that was predicted for it then, `timeout_s` its
    limit (None: no limit), `longest_s` the longest that many runs of its shape had taken by then (inf: unknown).
    `stopping` is true once it was told to stop (cancelled or preempted): its room is coming free.
    `ahead` is true while it waits on its node beyond the room there. `brief_s` is how long it takes if its shape is sure
    to be short (inf: not).
    """

    execution_id: ExecutionId
    node_id: NodeId
    resources: Resources
    started: float
    expected_s: float = inf
    timeout_s: float | None = None
    job_id: JobId = JobId(0)
    job_type_id: JobTypeId = JobTypeId(0)
    project_id: ProjectId = ProjectId(0)
    priority: int = 100
    preemptible: bool = False
    stopping: bool = False
    longest_s: float = inf
    serial: int | None = None
    ahead: bool = False
    brief_s: float = inf
    shape_id: ShapeId = _NO_SHAPE


@dataclass(slots=True)
class ProjectUsage:
    """What limits count of a project: all its executions and what they need. `room` is what they hold at the moment.

    What waits ahead of room holds none.

    `turnover` is what of that room would come free within `_TURNOVER_S` if all executions began anew whenever they
    ended.
    """

    resources: Resources = NOTHING
    room: Resources = NOTHING
    executions: int = 0
    turnover: Resources = NOTHING


class ResourceNumbers:
    """Numbers for the distinct amounts that executions hold.

    A number is in use while any execution holds that amount; after that it is given to another.
    """

    def __init__(self) -> None:
        self.requests: list[Resources] = []
        self._numbers: dict[Resources, int] = {}
        self._holders: list[int] = []
        self._vacant: list[int] = []

    def acquire(self, request: Resources) -> int:
        """Return the amount's number, and count one holder more."""
        number = self._numbers.get(request)
        if number is None:
            number = self._numbers[request] = self._new()
            self.requests[number] = request
        self._holders[number] += 1
        return number

    def release(self, request: Resources) -> None:
        """Count one holder less."""
        number = self._numbers[request]
        self._holders[number] -= 1
        if not self._holders[number]:
            del self._numbers[request]
            self.requests[number] = NOTHING
            self._vacant.append(number)

    def _new(self) -> int:
        if self._vacant:
            return self._vacant.pop()
        self.requests.append(NOTHING)
        self._holders.append(0)
        return len(self.requests) - 1


class Running:
    """All executions that hold room, by execution id."""

    def __init__(self, runs: Iterable[ActiveExecution] = ()) -> None:
        self.version = 0
        self._runs: dict[int, ActiveExecution] = {}
        self._rows: dict[int, int] = {}
        self._on_node: dict[int, set[int]] = {}
        self._projects: dict[int, ProjectUsage] = {}
        self._types: dict[int, int] = {}
        self._serial: dict[int, set[int]] = {}
        self._ahead: dict[int, ActiveExecution] = {}
        self._peer_nodes: dict[tuple[int, int], dict[int, int]] = {}
        self._requests = ResourceNumbers()
        self._vacant = list(range(_FIRST_ROWS - 1, -1, -1))
        self.node_ids = np.full(_FIRST_ROWS, -1, dtype=np.int64)
        self.ids = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.jobs = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.priority = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.preemptible = np.zeros(_FIRST_ROWS, dtype=np.bool_)
        self.stopping = np.zeros(_FIRST_ROWS, dtype=np.bool_)
        self.started = np.zeros(_FIRST_ROWS)
        self.expected = np.zeros(_FIRST_ROWS)
        self.limit = np.zeros(_FIRST_ROWS)
        self.longest = np.zeros(_FIRST_ROWS)
        self.request = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.waits = np.zeros(_FIRST_ROWS, dtype=np.bool_)
        self.brief = np.full(_FIRST_ROWS, inf)
        self.project_ids = np.zeros(_FIRST_ROWS, dtype=np.int64)
        self.type_ids = np.zeros(_FIRST_ROWS, dtype=np.int64)
        for run in runs:
            self.add(run)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[ActiveExecution]:
        return iter(self._runs.values())

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._runs

    def __getitem__(self, execution_id: int) -> ActiveExecution:
        return self._runs[execution_id]

    def add(self, run: ActiveExecution) -> None:
        """Add an execution that holds its room; one with the same id is replaced."""
        self.discard(run.execution_id)
        self.version += 1
        self._runs[run.execution_id] = run
        if run.ahead:
            self._ahead[run.execution_id] = run
        self._on_node.setdefault(run.node_id, set()).add(run.execution_id)
        self._count_usage(run, 1)
        if run.serial is not None:
            self._serial.setdefault(run.serial, set()).add(run.execution_id)
        self._fill(self._occupy(run.execution_id), run)

    def discard(self, execution_id: int) -> None:
        """Remove an execution whose room is released; an unknown id is ignored."""
        run = self._runs.pop(execution_id, None)
        if run is None:
            return
        self.version += 1
        self._ahead.pop(execution_id, None)
        there = self._on_node[run.node_id]
        there.discard(execution_id)
        if not there:
            del self._on_node[run.node_id]
        self._count_usage(run, -1)
        if run.serial is not None:
            self._serial[run.serial].discard(execution_id)
            if not self._serial[run.serial]:
                del self._serial[run.serial]
        row = self._rows.pop(execution_id)
        self.node_ids[row] = -1
        self._requests.release(run.resources)
        self._vacant.append(row)

    def on_node(self, node_id: int) -> list[ActiveExecution]:
        """Return the executions on one node, by id."""
        return [self._runs[execution_id] for execution_id in sorted(self._on_node.get(node_id, ()))]

    def ahead(self) -> list[ActiveExecution]:
        """Return what waits on nodes beyond their room."""
        return list(self._ahead.values())

    @property
    def has_ahead(self) -> bool:
        """Whether anything waits on a node beyond its room."""
        return bool(self._ahead)

    def of_project(self, project_id: int) -> ProjectUsage:
        """Return what a project holds."""
        return self._projects.get(project_id, ProjectUsage())

    def of_type(self, job_type_id: int) -> int:
        """Return how many executions of a job type hold room."""
        return self._types.get(job_type_id, 0)

    def of_serial(self, serial: int) -> list[ActiveExecution]:
        """Return the executions whose jobs run one after the other under this number: one, if there is any."""
        return [self._runs[execution_id] for execution_id in sorted(self._serial.get(serial, ()))]

    def peer_nodes(self, project_id: int, job_type_id: int) -> Mapping[int, int]:
        """Return how many executions of a project's job type each node has, of those that have any."""
        return self._peer_nodes.get((project_id, job_type_id), {})

    def length_s(self, fleet: Resources, projects: Iterable[int]) -> float:
        """Return how long it takes, on average, until the room comes free that projects hold; 0 if they hold nothing.

        It goes by the run times that were expected at the start, as the harmonic mean over what they hold of the
        fleet: if one half turns over every minute and the other every ten hours, the answer is two minutes.
        """
        has, holding = fleet.amounts(), [self._projects[one] for one in projects if one in self._projects]
        whole, turnover = (
            sum(amount / has[name] for each in rooms for name, amount in each.amounts().items() if has.get(name))
            for rooms in ([held.room for held in holding], [held.turnover for held in holding])
        )
        return whole / turnover * _TURNOVER_S if turnover else 0.0

    def by_project(self) -> Mapping[int, ProjectUsage]:
        """Return what each project holds, of those that hold anything."""
        return self._projects

    def requests(self) -> list[Resources]:
        """Return the distinct amounts, in the order of the numbers in the column `request`.

        A number that no execution has now stands for nothing.
        """
        return self._requests.requests

    def _fill(self, row: int, run: ActiveExecution) -> None:
        self.node_ids[row], self.ids[row] = run.node_id, run.execution_id
        self.jobs[row] = run.job_id or -run.execution_id  # an execution without a job counts as a job of its own
        self.priority[row] = run.priority
        self.preemptible[row], self.stopping[row] = run.preemptible, run.stopping
        self.started[row] = run.started
        self.expected[row] = 0.0 if run.stopping else run.expected_s
        self.limit[row] = 0.0 if run.stopping else inf if run.timeout_s is None else run.timeout_s
        self.longest[row] = run.longest_s
        self.waits[row], self.brief[row] = run.ahead, run.brief_s
        self.request[row] = self._requests.acquire(run.resources)
        self.project_ids[row], self.type_ids[row] = run.project_id, run.job_type_id

    def _occupy(self, execution_id: int) -> int:
        if not self._vacant:
            self._grow()
        row = self._vacant.pop()
        self._rows[execution_id] = row
        return row

    def _grow(self) -> None:
        rows = len(self.node_ids)
        self.node_ids = np.concatenate([self.node_ids, np.full(rows, -1, dtype=np.int64)])
        self.started, self.expected = np.tile(self.started, 2), np.tile(self.expected, 2)
        self.limit, self.longest = np.tile(self.limit, 2), np.tile(self.longest, 2)
        self.request = np.tile(self.request, 2)
        self.ids, self.jobs, self.priority = np.tile(self.ids, 2), np.tile(self.jobs, 2), np.tile(self.priority, 2)
        self.waits, self.brief = np.tile(self.waits, 2), np.tile(self.brief, 2)
        self.preemptible, self.stopping = np.tile(self.preemptible, 2), np.tile(self.stopping, 2)
        self.project_ids, self.type_ids = np.tile(self.project_ids, 2), np.tile(self.type_ids, 2)
        self._vacant.extend(range(2 * rows - 1, rows - 1, -1))

    def _count_usage(self, run: ActiveExecution, sign: int) -> None:
        held = self._projects.setdefault(run.project_id, ProjectUsage())
        held.resources = held.resources.add(run.resources.times(sign))
        if not run.ahead:
            held.room = held.room.add(run.resources.times(sign))
        times = 0 if run.ahead else int(_TURNOVER_S / max(1.0, min(run.expected_s, LONGEST_HORIZON_S)))
        held.turnover = held.turnover.add(run.resources.times(sign * times))
        held.executions += sign
        if not held.executions:
            del self._projects[run.project_id]
        _count(self._peer_nodes.setdefault((run.project_id, run.job_type_id), {}), run.node_id, sign)
        if not self._peer_nodes[run.project_id, run.job_type_id]:
            del self._peer_nodes[run.project_id, run.job_type_id]
        _count(self._types, run.job_type_id, sign)


def _count(counts: dict[int, int], key: int, sign: int) -> None:
    """Count up or down; a key that comes to 0 is dropped."""
    counts[key] = counts.get(key, 0) + sign
    if not counts[key]:
        del counts[key]
