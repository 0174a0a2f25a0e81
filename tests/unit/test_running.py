"""What runs, as columns: they hold what is there now, whatever has come and gone."""

from scheduler.identifiers import ExecutionId, NodeId
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution, Running


def test_claims_that_nobody_has_any_more_leave_nothing_behind() -> None:
    running = Running([ActiveExecution(ExecutionId(1), NodeId(1), Resources.of(cpus=4), 0.0)])
    for number in range(2, 1000):
        running.add(ActiveExecution(ExecutionId(number), NodeId(1), Resources(1000, number), 0.0))
        running.discard(number)
    assert len(running.requests()) <= 2


def test_a_number_given_anew_stands_for_the_new_claim_alone() -> None:
    first, second, third = (Resources.of(cpus=number) for number in (1, 2, 3))
    running = Running(
        [
            ActiveExecution(ExecutionId(1), NodeId(1), first, 0.0),
            ActiveExecution(ExecutionId(2), NodeId(1), first, 0.0),
            ActiveExecution(ExecutionId(3), NodeId(1), second, 0.0),
        ]
    )
    running.discard(1)
    assert first in running.requests(), "the other one still has it"
    running.discard(2)
    running.add(ActiveExecution(ExecutionId(4), NodeId(1), third, 0.0))
    live = running.node_ids >= 0
    claims = {int(running.ids[row]): running.requests()[running.request[row]] for row in live.nonzero()[0]}
    assert claims == {3: second, 4: third}
