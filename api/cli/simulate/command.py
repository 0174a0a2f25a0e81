"""`ganger simulate`: what a fleet would have made of a workload, under one policy or several."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.expected import reported
from api.cli.simulate import elastic_pool, plot_file, workload
from ganger.cli import screen
from ganger.cli.failures import FAILED
from ganger.cli.options import Json, StateDir, Token, Url
from ganger.errors import UsageError

if TYPE_CHECKING:
    from scheduler.replay.replay import ReplayResult
    from scheduler.replay.trace import TraceJob
    from scheduler.rules.cluster.nodes import Node

STEPS, FINE_STEPS = 72, 450
"""How many stretches the courses are shown in: as characters, and as points of a picture."""

WORKLOAD, FLEET, ELASTIC = "What is replayed", "On which fleet", "On a pool that follows demand"


class PolicyName(StrEnum):
    """The policies there are."""

    GANGER = "ganger"
    EASY = "easy"
    FCFS = "fcfs"


@reported
def simulate(
    trace: Annotated[
        Path | None,
        typer.Argument(metavar="[TRACE]", exists=True, dir_okay=False, help="A trace in the Standard Workload Format."),
    ] = None,
    *,
    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Replay this installation's own past: the jobs that the token may see.",
            rich_help_panel=WORKLOAD,
        ),
    ] = False,
    last: Annotated[
        int, typer.Option(min=1, help="So many of the jobs that ended last.", rich_help_panel=WORKLOAD)
    ] = 10_000,
    nodes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="10x16cpus,64gib or 4*cpus=8,mem=32gib,disk=1tib,gpu=2,pool=x,zone:a; may be repeated. Memory and disk are "
            "unlimited where they are not named. Default: the fleet as it is, or for a trace one node of the size that it names.",
            rich_help_panel=FLEET,
        ),
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="Nodes added to it.", rich_help_panel=FLEET)
    ] = None,
    drain: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="Nodes that take no work.", rich_help_panel=FLEET)
    ] = None,
    pool_max: Annotated[
        int | None,
        typer.Option(min=1, help="The most nodes: replay a pool that follows demand.", rich_help_panel=ELASTIC),
    ] = None,
    pool_min: Annotated[int, typer.Option(min=0, help="The fewest.", rich_help_panel=ELASTIC)] = 0,
    template: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="What each of its nodes has: cpus=4,mem=8192.", rich_help_panel=ELASTIC),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=SECONDS",
            help="target_wait_s, start_s, idle_s, shrink_pause_s, grow_step or shrink_step, as of a real pool.",
            rich_help_panel=ELASTIC,
        ),
    ] = None,
    fixed: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Held against so many nodes all the time; may be repeated. Default: what it was on average, and its most.",
            rich_help_panel=ELASTIC,
        ),
    ] = None,
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
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Replay a workload through the scheduler's own code: waits, slowdown and utilisation, nothing is run.

    [bold]ganger simulate --history --add 4x16cpus,64gib[/]   would four more nodes have helped?

    [bold]ganger simulate trace.swf --nodes 1x128cpus --policy easy --policy ganger --plot course.svg[/]

    [bold]ganger simulate --history --pool-min 0 --pool-max 20 --template cpus=4,mem=8192[/]   what would following demand save?
    """
    asked = workload.Asked(trace, history, last, workload.Here(url, token, state_dir))
    if pool_max is not None or template is not None:
        if nodes or add or drain or policy or plot:
            raise UsageError("--pool-max and --template replay one pool: no --nodes, --add, --drain, --policy, --plot")
        pool = elastic_pool.pool_of(pool_min, pool_max, template, setting or ())
        load, _ = workload.on_fleet(asked, [f"{pool_max}x{template}"])
        elastic_pool.compare(load, pool, fixed or (), seed, as_json=as_json)
        return
    from scheduler.replay import report  # noqa: PLC0415 - numpy is only needed here

    draw = plot_file.drawer(plot)
    load, whole = workload.on_fleet(asked, nodes or (), added=add or (), drained=drain or ())
    outcomes = {one.value: _replay(one.value, load.jobs, whole, seed) for one in policy or list(PolicyName)}
    summaries = [report.summarise(name, outcome) for name, outcome in outcomes.items()]
    courses = [report.course(outcome, STEPS) for outcome in outcomes.values()]
    if as_json:
        policies = report.as_data(summaries, courses)
        screen.document({"nodes": len(whole), "jobs": len(load.jobs), **load.document(), "policies": policies})
    else:
        screen.say(report.as_text(summaries, courses))
        load.tell()
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
