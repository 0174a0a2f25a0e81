"""The workload and the nodes of `ganger simulate`: from a trace, from an installation, or from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.simulate.options import WorkloadOptions
from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.documents import JsonObject
from ganger.errors import UsageError

if TYPE_CHECKING:
    from scheduler.replay.trace import SkippedJobs, SwfRecord, TraceJob
    from scheduler.rules.cluster.nodes import Node


@dataclass(frozen=True, slots=True)
class TraceSource:
    """The origin of the jobs: a trace, or the past of the installation that `connection` leads to."""

    trace: Path | None
    options: WorkloadOptions
    connection: Connection

    def history(self) -> tuple[list[TraceJob], list[str]]:
        """Return the jobs that ended last, by submission, and the projects that they belong to."""
        from scheduler.replay.history import jobs_of_history  # noqa: PLC0415 - numpy is only needed for a replay

        with self.connection.client() as api:
            found = api.jobs.list(
                limit=self.options.last, status=["COMPLETED", "FAILED"], order=["-last_status_change"], page_size=1000
            )
            ended = [job.document for job in found]
        return jobs_of_history(ended), sorted({str(job["project"]) for job in ended})

    def fleet(self) -> list[Node]:
        """Return the nodes of the installation."""
        from scheduler.replay.history import nodes_of_fleet  # noqa: PLC0415 - likewise

        with self.connection.client() as api:
            return nodes_of_fleet(node.document for node in api.nodes.list(page_size=1000))


@dataclass(frozen=True, slots=True)
class Workload:
    """Jobs to replay; of a trace also what was left out for a machine of so many cpus, of a past also whose it is."""

    jobs: list[TraceJob]
    left_out: SkippedJobs | None = None
    cpus: int = 0
    projects: Sequence[str] = ()

    def document(self) -> JsonObject:
        """Return what there is to say of it beside the jobs, for JSON."""
        if self.left_out is None:
            return {"projects": list(self.projects)}
        return {"left_out": asdict(self.left_out)}

    def print_notes(self) -> None:
        """Print the same for people."""
        from scheduler.replay import report  # noqa: PLC0415 - likewise

        left = report.left_out(self.left_out, self.cpus) if self.left_out is not None else None
        if left is not None:
            screen.text(f"\n{left}")
        if len(self.projects) == 1:
            screen.text(
                f"\nAll jobs that the token may see are of the project {self.projects[0]}; others are not replayed."
            )


def on_fleet(
    source: TraceSource, nodes: Sequence[str], *, added: Sequence[str] = (), drained: Sequence[str] = ()
) -> tuple[Workload, list[Node]]:
    """Return the jobs and the nodes to replay them on. Raises UsageError where there are none, or they are said wrongly."""
    if (source.trace is None) != source.options.history:
        raise UsageError("give either a trace or --history")
    try:
        load, fleet = (_past if source.trace is None else _trace)(source, nodes, added, drained)
    except ValueError as wrong:
        raise UsageError(str(wrong)) from None
    if not fleet:
        raise UsageError("there is no node to replay on")
    if not load.jobs:
        load.print_notes()
        raise UsageError("there is nothing to replay")
    return load, fleet


def _past(
    source: TraceSource, nodes: Sequence[str], added: Sequence[str], drained: Sequence[str]
) -> tuple[Workload, list[Node]]:
    from scheduler.replay import fleet  # noqa: PLC0415 - likewise

    own = fleet.read_fleet(nodes) if nodes else None
    jobs, projects = source.history()
    whole = fleet.changed(source.fleet() if own is None else own, added=added, drained=drained)
    return Workload(jobs, projects=projects), whole


def _trace(
    source: TraceSource, nodes: Sequence[str], added: Sequence[str], drained: Sequence[str]
) -> tuple[Workload, list[Node]]:
    """Jobs wider than the widest node become gangs of members that fit there; those wider than all nodes together are left out."""
    from scheduler.replay import fleet, trace  # noqa: PLC0415 - likewise

    assert source.trace is not None  # noqa: S101 - the caller has looked
    own = fleet.read_fleet(nodes)
    lines = source.trace.read_text(encoding="utf-8", errors="replace").splitlines()
    if not nodes:
        own = [_machine(source.trace, trace.machine_size(lines))]
    whole = fleet.changed(own, added=added, drained=drained)
    widest = max(_cpus(own))
    if not widest:
        raise ValueError("jobs of a trace ask for whole cpus, and no node of --nodes has one: say 4x16cpus, or cpus=16")
    try:
        records = trace.read_log(lines)
    except ValueError as wrong:
        raise ValueError(f"{source.trace.name}: {wrong}") from None
    together = sum(_cpus(whole))
    kept, left = trace.runnable(records, together)
    _once_each(source.trace, kept)
    return Workload(trace.jobs_of(kept, widest=widest), left, together), whole


def _machine(path: Path, size: int | None) -> Node:
    """Return the one node that a trace was recorded on. Raises ValueError where it does not say how large that was."""
    from scheduler.identifiers import NodeId  # noqa: PLC0415 - likewise
    from scheduler.rules.cluster.nodes import Node  # noqa: PLC0415 - likewise
    from scheduler.rules.cluster.resources import Resources  # noqa: PLC0415 - likewise

    if not size:
        raise ValueError(f"{path.name} does not say how large its machine was; give --nodes")
    return Node(NodeId(1), Resources.of(cpus=size), "machine")


def _once_each(path: Path, records: Sequence[SwfRecord]) -> None:
    """Raise ValueError for two jobs of one number: a replay could not tell them apart."""
    seen: set[int] = set()
    for record in records:
        if record.number in seen:
            raise ValueError(f"{path.name} has two jobs of the number {record.number}")
        seen.add(record.number)


def _cpus(nodes: Sequence[Node]) -> list[int]:
    """Return how many whole cpus each node has."""
    return [node.capacity.cpus // 1000 for node in nodes]
