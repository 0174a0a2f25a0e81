"""How well random mixed fleets are packed when more waits than fits, beside linear programming and the usual heuristics."""

from statistics import mean

import pytest

from tests.support.fleets import FAMILIES, a_scene, bound, in_use
from tests.support.packing import HEURISTICS, at_once, kept_up, rules

pytestmark = pytest.mark.slow

SCENES, OF_SMALL_JOBS = 8, 3
"""Of small jobs there are so many that three fleets vary less than eight of the others; each takes as long as four."""

NOISE = 0.002
"""What means over so few fleets vary by from one set of seeds to the next."""

HARD = [
    "of all sizes",
    "some node-sized",
    "three kinds of nodes, some node-sized",
    "some for gpus, the others anywhere",
]
"""Families in which the choice of nodes matters most once jobs come and end."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saturated_fleet_holds_nearly_all_it_could_and_no_less_than_by_simpler_rules(family: str) -> None:
    scenes = [a_scene(seed, family) for seed in range(OF_SMALL_JOBS if family == "small" else SCENES)]
    held: dict[str, list[float]] = {}
    for scene in scenes:
        for name, rule in rules(scene).items():
            held.setdefault(name, []).append(in_use(scene, at_once(scene, rule)))
    means = {name: mean(each) for name, each in held.items()}
    assert means["ganger"] >= 0.97 * mean(bound(scene) for scene in scenes)
    for name in HEURISTICS:
        assert means["ganger"] >= (1 - NOISE) * means[name], name
        assert means["ganger by age"] >= (1 - NOISE) * means[name], f"{name}, with the same order"


def test_while_jobs_come_and_end_a_fleet_is_kept_at_least_as_full_as_by_simpler_rules() -> None:
    held: dict[str, list[float]] = {}
    for family in HARD:
        scene = a_scene(1, family)
        for name, rule in rules(scene).items():
            held.setdefault(name, []).append(kept_up(scene, rule).of_bound)
    means = {name: mean(each) for name, each in held.items()}
    assert means["ganger"] >= 0.95
    assert means["ganger"] >= max(means[name] for name in HEURISTICS), means
