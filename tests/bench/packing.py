"""How well mixed fleets are packed under saturation: in use beside linear programming's bound and beside simpler rules.

For each family of fleets the means over some: once all that waits has come at once (`at-once`), and kept up while jobs come
and end (`kept-up`), both as fractions of the bound for the mix that waits; and at once, as a fraction of the bound for a
scheduler that need keep no order (`any-order`; no bar, for the order is kept).
"""

from __future__ import annotations

from statistics import mean

from tests.bench.figures import figure
from tests.support.fleets import FAMILIES, a_scene, bound, free_bound, in_use, totals
from tests.support.packing import HEURISTICS, at_once, kept_up, rules

SCENES, KEPT_UP = 12, 2
BAR = 0.97


def main() -> None:
    """All families, one line for each way of measuring."""
    for family in FAMILIES:
        scenes = [a_scene(seed, family) for seed in range(SCENES)]
        most, any_order = mean(bound(scene) for scene in scenes), mean(free_bound(scene) for scene in scenes)
        used: dict[str, list[float]] = {}
        both: dict[str, list[float]] = {}
        for scene in scenes:
            for name, rule in rules(scene).items():
                held = at_once(scene, rule)
                used.setdefault(name, []).append(in_use(scene, held) / most)
                both.setdefault(name, []).append(float((held / totals(scene))[:2].mean()) / any_order)
        _say(f"{family}.at-once", used, bar=BAR)
        _say(f"{family}.any-order", both)
        kept: dict[str, list[float]] = {}
        waits: dict[str, list[float]] = {}
        for scene in scenes[:KEPT_UP]:
            for name, rule in rules(scene).items():
                found = kept_up(scene, rule)
                kept.setdefault(name, []).append(found.of_bound)
                waits.setdefault(name, []).append(found.longest_wait_s)
        _say(f"{family}.kept-up", kept, longest_wait_s={name: round(mean(each)) for name, each in waits.items()})


def _say(name: str, found: dict[str, list[float]], bar: float | None = None, **facts: object) -> None:
    means = {rule: round(mean(each), 4) for rule, each in found.items()}
    ours, best = means["ganger"], max(means[rule] for rule in HEURISTICS)
    held = {} if bar is None else {"bar": f">= {bar} and >= the others", "held": ours >= bar and ours >= best}
    figure("packing", name, ours, "of the bound", to_best_other=round(ours / best, 4), rules=means, **held, **facts)


if __name__ == "__main__":
    main()
