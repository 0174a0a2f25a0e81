"""Agreement of answers with what happens: explanations, dry runs and plans on random small clusters, as counts of cases.

The states are those of the property tests (`tests/unit/test_explain.py`, `tests/unit/test_placement_properties.py`); a bar is held
when every case agrees. The first cases that do not are named, to be looked at there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings

from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.explain.explain import explain
from tests.bench.figures import figure
from tests.support.placement import NOW
from tests.unit import test_explain as explaining
from tests.unit import test_placement_properties as planning

CASES = 1000
SHOWN = 5
Case = TypeVar("Case")


def _random_cases(count: int) -> list[explaining.Case]:
    """One job alone on a small cluster in some state, so many times; the same ones in every run."""
    found: list[explaining.Case] = []
    how = settings(
        max_examples=count, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def keep(case: explaining.Case) -> None:
        found.append(case)

    how(given(explaining.cases())(keep))()
    return found


def _reasons_counted(case: explaining.Case) -> bool:
    """Whether as many nodes fail for each reason as a walk over the nodes finds."""
    pairs = zip(case.nodes, case.used, strict=True)
    expected = Counter(reason for node, cpus in pairs for reason in explaining._wrong_with(case, node, cpus))
    return dict(case.explained().nodes) == expected


def _changes_suffice(case: explaining.Case) -> bool:
    """Whether the job starts with all the changes; and without any exactly where none is named."""
    changes = case.explained().fixes
    enough = explaining._changed(case, changes).placed(explaining._moment(changes))
    return enough and case.placed() == (not changes)


def _changes_needed(case: explaining.Case) -> bool:
    """Whether the job waits on when any of the changes is left out."""
    changes = case.explained().fixes
    fewer = [changes[:left_out] + changes[left_out + 1 :] for left_out in range(len(changes))]
    return not any(explaining._changed(case, some).placed(explaining._moment(some)) for some in fewer)


def _reason_known(seed: int) -> bool:
    """Whether each job that waits after a tick is told something that holds it."""
    world = planning.a_jumble(seed).world
    plan = world.plan()
    for placement in plan.placements:
        world.nodes.allocate(placement.node_id, world.shapes[placement.shape_id].requires)
        world.queue.discard(placement.job_id)
    later = world.plan(now=NOW + 1)
    told = [explain(world.snapshot, job, NOW + 1, later) for job in range(1, 41) if job in world.queue]
    return all(each.blockers or each.nodes or each.main in {Reason.BEHIND, Reason.NEXT, Reason.GANG} for each in told)


def _rules_kept(seed: int) -> bool:
    """Whether a plan keeps every rule, judged by plain arithmetic, and is the same a second time."""
    jumble = planning.a_jumble(seed)
    plan = jumble.world.plan()
    planning.check(jumble, plan)
    return plan == jumble.world.plan()


def _one_foreseen(seed: int) -> bool:
    foreseen, real = planning.one_tried(seed)
    return foreseen == real


def _array_foreseen(seed: int) -> bool:
    foreseen, real = planning.array_tried(seed)
    return foreseen == real


def _count(name: str, agrees: Callable[[Case], bool], cases: Sequence[Case]) -> None:
    """Print how many of the cases agree; one that raises does not, and what it raised is named."""
    wrong, raised = list[int](), Counter[str]()
    for number, case in enumerate(cases):
        try:
            agreed = agrees(case)
        except Exception as error:  # noqa: BLE001 - whatever it is, this case does not agree
            agreed = False
            raised[type(error).__name__] += 1
        if not agreed:
            wrong.append(number)
    share = 1 - len(wrong) / len(cases)
    figure(
        "agreement", name, share, "of cases", agreed=len(cases) - len(wrong), cases=len(cases), first_wrong=wrong[:SHOWN],
        raised=raised, bar="all", held=not wrong,
    )  # fmt: skip


def main(cases: int = CASES) -> None:
    """Count over so many random clusters each."""
    clusters, seeds = _random_cases(cases), range(cases)
    _count("explain.reason-counts", _reasons_counted, clusters)
    _count("explain.changes-suffice", _changes_suffice, clusters)
    _count("explain.changes-all-needed", _changes_needed, clusters)
    _count("explain.reason-known-after-a-tick", _reason_known, seeds)
    _count("dry-run.one-job", _one_foreseen, seeds)
    _count("dry-run.array", _array_foreseen, seeds)
    _count("plan.keeps-every-rule", _rules_kept, seeds)


if __name__ == "__main__":
    main()
