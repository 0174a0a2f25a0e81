"""`ganger simulate`: what a fleet would have made of a workload, under one policy or several."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands import connection, following, screen
from api.commands.options import Json, StateDir, Token, Url
from scheduler.errors import InvalidInput, SetupError

if TYPE_CHECKING:
    from scheduler.rules.nodes import Node
    from scheduler.simulation.replay import Outcome
    from scheduler.simulation.report import Course
    from scheduler.simulation.trace import TraceJob

STEPS, FINE_STEPS = 72, 450
"""How many stretches the courses are shown in: as characters, and as points of a picture."""

WORKLOAD, FLEET, ELASTIC = "What is replayed", "On which fleet", "On a pool that follows demand"


class PolicyName(StrEnum):
    """The policies there are."""

    GANGER = "ganger"
    EASY = "easy"
    FCFS = "fcfs"


def simulate(
    trace: Annotated[
        Path | None,
        typer.Argument(metavar="[TRACE]", exists=True, dir_okay=False, help="A trace in the Standard Workload Format."),
    ] = None,
    *,
    history: Annotated[
        bool, typer.Option("--history", help="Replay this installation's own past.", rich_help_panel=WORKLOAD)
    ] = False,
    last: Annotated[
        int, typer.Option(min=1, help="So many of the jobs that ended last.", rich_help_panel=WORKLOAD)
    ] = 10_000,
    nodes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="10x16cpus,64gib or 4*cpus=8,mem=32gib,gpu=2,pool=x,zone:a; may be repeated. Default: the fleet as it is, "
            "or for a trace one node of the size that it names.",
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
        typer.Option(metavar="FILE", help="Queue and utilisation over time, as .svg, or .png with ganger\\[plot]."),
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
    if pool_max is not None or template is not None:
        if nodes or add or drain or policy or plot:
            raise InvalidInput(
                "--pool-max and --template replay one pool: no --nodes, --add, --drain, --policy, --plot"
            )
        pool = following.pool_of(pool_min, pool_max, template, setting or ())
        jobs = _workload(trace, history, _Here(url, token, state_dir), last, f"{pool_max}x{template}")[0]
        following.compare(jobs, pool, fixed or (), seed, as_json=as_json)
        return
    from scheduler.simulation import fleet, report  # noqa: PLC0415 - numpy is only needed here

    draw = _drawer(plot)
    here = _Here(url, token, state_dir)
    jobs, size = _workload(trace, history, here, last, *(nodes or ()))
    try:
        own = fleet.read_fleet(nodes) if nodes else [size] if size is not None else here.fleet()
        whole = fleet.changed(own, added=add or (), drained=drain or ())
    except ValueError as wrong:
        raise InvalidInput(str(wrong)) from None
    if not whole:
        raise InvalidInput("there is no node to replay on")
    outcomes = {one.value: _replay(one.value, jobs, whole, seed) for one in policy or list(PolicyName)}
    summaries = [report.summarise(name, outcome) for name, outcome in outcomes.items()]
    if draw is not None:
        draw({name: report.course(outcome, FINE_STEPS) for name, outcome in outcomes.items()})
    if as_json:
        screen.document({"nodes": len(whole), "jobs": len(jobs), "policies": report.as_data(summaries)})
    else:
        screen.say(report.as_text(summaries, [report.course(outcome, STEPS) for outcome in outcomes.values()]))


class _Here:
    """This installation, asked over HTTP: whoever may see all jobs may replay them."""

    def __init__(self, url: str | None, token: str | None, state_dir: Path | None) -> None:
        self._where = (url, token, state_dir)

    def history(self, last: int) -> list[TraceJob]:
        """Return the jobs that ended last, by submission."""
        from scheduler.simulation.history import jobs_of_history  # noqa: PLC0415 - likewise

        with connection.client(*self._where) as api:
            ended = api.jobs.list(
                limit=last, status=["COMPLETED", "FAILED"], order=["-last_status_change"], page_size=1000
            )
            return jobs_of_history(job.document for job in ended)

    def fleet(self) -> list[Node]:
        """Return the nodes that are there."""
        from scheduler.simulation.history import nodes_of_fleet  # noqa: PLC0415 - likewise

        with connection.client(*self._where) as api:
            return nodes_of_fleet(node.document for node in api.nodes.list(page_size=1000))


def _workload(
    trace: Path | None, history: bool, here: _Here, last: int, *nodes: str
) -> tuple[list[TraceJob], Node | None]:
    """Return the jobs to replay, and the machine that a trace was recorded on. Raises InvalidInput where there are none."""
    if (trace is None) != history:
        raise InvalidInput("give either a trace or --history")
    try:
        jobs, size = (here.history(last), None) if trace is None else _read_trace(trace, list(nodes))
    except ValueError as wrong:
        raise InvalidInput(str(wrong)) from None
    if not jobs:
        raise InvalidInput("there is nothing to replay")
    return jobs, size


def _read_trace(path: Path, nodes: list[str]) -> tuple[list[TraceJob], Node | None]:
    """Return the jobs of a trace, and the machine it was recorded on. Raises ValueError for what is no trace."""
    from scheduler.rules.nodes import Node  # noqa: PLC0415 - likewise
    from scheduler.rules.resources import Resources  # noqa: PLC0415 - likewise
    from scheduler.simulation import fleet, trace  # noqa: PLC0415 - likewise

    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    size = trace.machine_size(lines)
    capacities = [node.capacity.cpus // 1000 for node in fleet.read_fleet(nodes)] if nodes else [size or 0]
    if not sum(capacities):
        raise ValueError(f"{path.name} does not say how large its machine was; give --nodes")
    jobs = trace.jobs_of(trace.read_swf(lines, sum(capacities)), widest=max(capacities))
    return jobs, None if nodes or size is None else Node(1, Resources.of(cpus=size), "machine")


def _replay(policy: str, jobs: list[TraceJob], nodes: list[Node], seed: int) -> Outcome:
    from scheduler.simulation.policies import POLICIES  # noqa: PLC0415 - likewise
    from scheduler.simulation.replay import replay  # noqa: PLC0415 - likewise

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


def _drawer(path: Path | None) -> Callable[[dict[str, Course]], None] | None:
    """Return what draws courses into a file, None without one. Raises before anything is replayed where it could not."""
    if path is None:
        return None
    kind = path.suffix.lower()
    if kind not in {".svg", ".png"}:
        raise InvalidInput("a plot is an .svg or a .png file", field="--plot")
    if not path.resolve().parent.is_dir():
        raise InvalidInput(f"there is no folder {path.resolve().parent}", field="--plot")
    rasterise = _rasteriser() if kind == ".png" else None

    def draw(courses: dict[str, Course]) -> None:
        from scheduler.simulation.plot import as_svg  # noqa: PLC0415 - likewise

        drawn = as_svg(courses)
        path.write_bytes(drawn.encode() if rasterise is None else rasterise(drawn))

    return draw


def _rasteriser() -> Callable[[str], bytes]:
    try:
        import resvg_py  # noqa: PLC0415 - optional
    except ImportError:
        raise SetupError("a PNG needs one more package: pip install 'ganger[plot]'; an SVG needs nothing") from None
    return lambda drawn: bytes(resvg_py.svg_to_bytes(svg_string=drawn, background="white"))
