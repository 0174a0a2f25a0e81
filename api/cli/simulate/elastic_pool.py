"""`ganger simulate --pool-max`: what a pool that follows demand would have cost, and how long jobs would have waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from api.cli.simulate import workload
from ganger.cli import screen
from ganger.cli.failures import FAILED
from ganger.cli.options import pairs
from ganger.cli.quantities import number
from ganger.documents import JsonObject
from ganger.errors import UsageError

if TYPE_CHECKING:
    from api.cli.simulate.options import ElasticOptions
    from api.cli.simulate.workload import TraceSource
    from scheduler.rules.autoscaling.decide import Pool, ScalingSettings

NAME = "pool"


def compare(source: TraceSource, options: ElasticOptions, seed: int, *, as_json: bool) -> None:
    """Print what the pool costs, and what fixed sizes do. All jobs are taken to be of this pool.

    Raises UsageError; ends the command with 1 if nothing ran at all.
    """
    from scheduler.replay import sizes  # noqa: PLC0415 - numpy is only needed here

    pool = _pool_of(options)
    load, _ = workload.on_fleet(source, [f"{options.pool_max}x{options.template}"])
    costs = sizes.compare([replace(job, pool=None) for job in load.jobs], pool, options.fixed or (), seed=seed)
    if as_json:
        screen.document({"jobs": len(load.jobs), **load.document(), "sizes": sizes.as_data(costs)})
    else:
        screen.text(sizes.as_text(costs))
        load.print_notes()
    if not any(cost.jobs for cost in costs):
        raise typer.Exit(FAILED)


def _pool_of(options: ElasticOptions) -> Pool:
    """Return the pool that the options describe. Raises UsageError."""
    from scheduler.replay import fleet  # noqa: PLC0415 - likewise
    from scheduler.rules.autoscaling.decide import Pool  # noqa: PLC0415 - likewise
    from scheduler.rules.autoscaling.sizing import PoolSizing  # noqa: PLC0415 - likewise

    if options.pool_max is None or options.template is None:
        raise UsageError("a pool needs both --pool-max N and --template SPEC", field="--pool-max")
    if options.pool_min > options.pool_max:
        sentence = f"--pool-min {options.pool_min} is above --pool-max {options.pool_max}"
        raise UsageError(sentence, field="--pool-min")
    try:
        nodes = fleet.read_fleet([options.template])
    except ValueError as wrong:
        raise UsageError(str(wrong), field="--template") from None
    if len(nodes) != 1:
        raise UsageError("--template describes one node", field="--template")
    return Pool(
        NAME,
        PoolSizing.AUTO,
        smallest=options.pool_min,
        largest=options.pool_max,
        template=nodes[0].capacity,
        labels=nodes[0].labels,
        pace=_pace(options.setting or ()),
    )


def _pace(settings: Sequence[str]) -> ScalingSettings:
    from scheduler.rules.autoscaling.decide import ScalingSettings  # noqa: PLC0415 - likewise

    given = pairs(list(settings), "--set")
    unknown = sorted(set(given) - set(ScalingSettings.__slots__))
    if unknown:
        raise UsageError(
            f"--set takes one of {', '.join(ScalingSettings.__slots__)}, not {unknown[0]!r}", field="--set"
        )
    try:
        numbers: JsonObject = {name: (int if name.endswith("_step") else number)(given[name]) for name in given}
        return ScalingSettings(**numbers)
    except ValueError:
        raise UsageError("--set takes NAME=NUMBER, such as idle_s=300", field="--set") from None
