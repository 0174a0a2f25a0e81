"""What runs, as columns: they hold what is there now, whatever has come and gone."""

from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution, Running


def test_claims_that_nobody_has_any_more_leave_nothing_behind() -> None:
    running = Running([ActiveExecution(1, 1, Resources.of(cpus=4), 0.0)])
    for number in range(2, 1000):
        running.add(ActiveExecution(number, 1, Resources(1000, number), 0.0))
        running.discard(number)
    assert len(running.requests()) <= 2


def test_a_number_given_anew_stands_for_the_new_claim_alone() -> None:
    first, second, third = (Resources.of(cpus=number) for number in (1, 2, 3))
    running = Running(
        [ActiveExecution(1, 1, first, 0.0), ActiveExecution(2, 1, first, 0.0), ActiveExecution(3, 1, second, 0.0)]
    )
    running.discard(1)
    assert first in running.requests(), "the other one still has it"
    running.discard(2)
    running.add(ActiveExecution(4, 1, third, 0.0))
    live = running.node_ids >= 0
    claims = {int(running.ids[row]): running.requests()[running.request[row]] for row in live.nonzero()[0]}
    assert claims == {3: second, 4: third}
