"""`ganger simulate --pool-max`: what a pool that follows demand would have cost, and how long jobs would have waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ganger.cli import screen
from ganger.cli.failures import FAILED
from ganger.cli.options import pairs
from ganger.errors import UsageError

if TYPE_CHECKING:
    from api.cli.simulate.workload import Workload
    from scheduler.rules.autoscaling.decide import Pace, Pool

NAME = "pool"


def pool_of(smallest: int, largest: int | None, template: str | None, settings: Sequence[str]) -> Pool:
    """Return the pool that the options describe. Raises UsageError."""
    from scheduler.replay import fleet  # noqa: PLC0415 - likewise
    from scheduler.rules.autoscaling.decide import Pool, Sizing  # noqa: PLC0415 - numpy is only needed here

    if largest is None or template is None:
        raise UsageError("a pool needs both --pool-max N and --template SPEC", field="--pool-max")
    if smallest > largest:
        raise UsageError(f"--pool-min {smallest} is above --pool-max {largest}", field="--pool-min")
    try:
        nodes = fleet.read_fleet([template])
    except ValueError as wrong:
        raise UsageError(str(wrong), field="--template") from None
    if len(nodes) != 1:
        raise UsageError("--template describes one node", field="--template")
    return Pool(
        NAME,
        Sizing.AUTO,
        smallest=smallest,
        largest=largest,
        template=nodes[0].capacity,
        labels=nodes[0].labels,
        pace=_pace(settings),
    )


def compare(load: Workload, pool: Pool, fixed: Sequence[int], seed: int, *, as_json: bool) -> None:
    """Print what the pool costs, and what fixed sizes do. All jobs are taken to be of this pool."""
    from scheduler.replay import sizes  # noqa: PLC0415 - likewise

    found = sizes.compare([replace(job, pool=None) for job in load.jobs], pool, fixed, seed=seed)
    if as_json:
        screen.document({"jobs": len(load.jobs), **load.document(), "sizes": sizes.as_data(found)})
    else:
        screen.say(sizes.as_text(found))
        load.tell()
    if not any(cost.jobs for cost in found):
        raise typer.Exit(FAILED)


def _pace(settings: Sequence[str]) -> Pace:
    from scheduler.rules.autoscaling.decide import Pace  # noqa: PLC0415 - likewise

    given = pairs(list(settings), "--set")
    unknown = sorted(set(given) - set(Pace.__slots__))
    if unknown:
        raise UsageError(f"--set takes one of {', '.join(Pace.__slots__)}, not {unknown[0]!r}", field="--set")
    try:
        numbers: dict[str, Any] = {name: (int if name.endswith("_step") else float)(given[name]) for name in given}
        return Pace(**numbers)
    except ValueError:
        raise UsageError("--set takes NAME=NUMBER, such as idle_s=300", field="--set") from None
