"""`ganger simulate`: what a fleet would have made of a workload, under one policy or several."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.expected import reported
from api.cli.simulate import elastic_pool, plot_file, workload
from api.cli.simulate.options import ElasticOptions, FleetOptions, WorkloadOptions
from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import FAILED
from ganger.cli.options import Json, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from scheduler.replay.replay import ReplayResult
    from scheduler.replay.trace import TraceJob
    from scheduler.rules.cluster.nodes import Node

STEPS, FINE_STEPS = 72, 450
"""The number of steps in which queue and utilisation are shown over time: as characters, and as points of a picture."""


class PolicyName(StrEnum):
    """The policies there are."""

    GANGER = "ganger"
    EASY = "easy"
    FCFS = "fcfs"


@expanded
@reported
def simulate(
    trace: Annotated[
        Path | None,
        typer.Argument(metavar="[TRACE]", exists=True, dir_okay=False, help="A trace in the Standard Workload Format."),
    ] = None,
    *,
    load: WorkloadOptions,
    fleet: FleetOptions,
    elastic: ElasticOptions,
    policy: Annotated[
        list[PolicyName] | None, typer.Option(help="One or several. Default: all, to be compared.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is left to chance; the same one gives the same replay.")] = 1,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Queue and utilisation over time, as .svg, or .png with ganger-server\\[plot]."
        ),
    ] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Replay a workload through the scheduler's own code: waits, slowdown and utilisation, nothing is run.

    [bold]ganger simulate --history --add 4x16cpus,64gib[/]   would four more nodes have helped?

    [bold]ganger simulate trace.swf --nodes 1x128cpus --policy easy --plot course.svg[/]

    [bold]ganger simulate --history --pool-max 20 --template cpus=4,mem=8192[/]   what would following demand save?
    """
    source = workload.TraceSource(trace, load, connection)
    if not elastic.any:
        _compare_policies(source, fleet, policy or list(PolicyName), seed, plot, as_json=as_json)
    elif fleet.any or policy or plot:
        raise UsageError("--pool-max and --template replay one pool: no --nodes, --add, --drain, --policy, --plot")
    else:
        elastic_pool.compare(source, elastic, seed, as_json=as_json)


def _compare_policies(
    source: workload.TraceSource,
    fleet: FleetOptions,
    policies: Sequence[PolicyName],
    seed: int,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    """Replay the workload under each policy and print what came of it. Ends the command with 1 if nothing ran at all."""
    from scheduler.replay import report  # noqa: PLC0415 - numpy is only needed here

    draw = plot_file.drawer(plot)
    load, nodes = workload.on_fleet(source, fleet.nodes or (), added=fleet.add or (), drained=fleet.drain or ())
    outcomes = {policy.value: _replay(policy.value, load.jobs, nodes, seed) for policy in policies}
    summaries = [report.summarise(name, outcome) for name, outcome in outcomes.items()]
    courses = [report.course(outcome, STEPS) for outcome in outcomes.values()]
    if as_json:
        results = report.as_data(summaries, courses)
        screen.document({"nodes": len(nodes), "jobs": len(load.jobs), **load.document(), "policies": results})
    else:
        screen.text(report.as_text(summaries, courses))
        load.print_notes()
    if draw is not None:
        draw({name: report.course(outcome, FINE_STEPS) for name, outcome in outcomes.items()})
    if not any(summary.jobs for summary in summaries):
        raise typer.Exit(FAILED)


def _replay(policy: str, jobs: list[TraceJob], nodes: list[Node], seed: int) -> ReplayResult:
    from scheduler.replay.policies import POLICIES  # noqa: PLC0415 - likewise
    from scheduler.replay.replay import replay  # noqa: PLC0415 - likewise

    with _progress(policy) as told:
        return replay(jobs, nodes, POLICIES[policy], seed=seed, progress=told)


@contextmanager
def _progress(policy: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows how far a replay is, on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress  # noqa: PLC0415 - pipes do without

    with Progress(console=screen.console(stderr=True), transient=True) as bar:
        task = bar.add_task(policy, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
