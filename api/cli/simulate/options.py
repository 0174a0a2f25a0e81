"""The options of `ganger simulate` in groups: the workload, the fleet, and a pool that follows demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

WORKLOAD, FLEET, ELASTIC = "What is replayed", "On which fleet", "On a pool that follows demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadOptions:
    """The recorded jobs, where they are not those of a trace."""

    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Replay this installation's own past: the jobs that the token may see.",
            rich_help_panel=WORKLOAD,
        ),
    ] = False
    last: Annotated[int, typer.Option(min=1, help="So many of the jobs that ended last.", rich_help_panel=WORKLOAD)] = (
        10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """The nodes that the jobs are replayed on."""

    nodes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="10x16cpus,64gib or 4*cpus=8,mem=32gib,disk=1tib,gpu=2,pool=x,zone:a; may be repeated. Memory and disk are "
            "unlimited where they are not named. Default: the fleet as it is, or for a trace one node of the size that it names.",
            rich_help_panel=FLEET,
        ),
    ] = None
    add: Annotated[list[str] | None, typer.Option(metavar="SPEC", help="Nodes added to it.", rich_help_panel=FLEET)] = (
        None
    )
    drain: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="Nodes that take no work.", rich_help_panel=FLEET)
    ] = None

    @property
    def any(self) -> bool:
        """Whether one of them is given."""
        return bool(self.nodes or self.add or self.drain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticOptions:
    """One pool that is scaled by demand while the jobs are replayed."""

    pool_max: Annotated[
        int | None,
        typer.Option(min=1, help="The most nodes: replay a pool that follows demand.", rich_help_panel=ELASTIC),
    ] = None
    pool_min: Annotated[int, typer.Option(min=0, help="The fewest.", rich_help_panel=ELASTIC)] = 0
    template: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="What each of its nodes has: cpus=4,mem=8192.", rich_help_panel=ELASTIC),
    ] = None
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=SECONDS",
            help="target_wait_s, start_s, idle_s, shrink_pause_s, grow_step or shrink_step, as of a real pool.",
            rich_help_panel=ELASTIC,
        ),
    ] = None
    fixed: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Held against so many nodes all the time; may be repeated. Default: what it was on average, and its most.",
            rich_help_panel=ELASTIC,
        ),
    ] = None

    @property
    def any(self) -> bool:
        """Whether such a pool is wanted."""
        return self.pool_max is not None or self.template is not None
