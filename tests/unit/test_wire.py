"""What programs say of themselves reaches the scheduler, whatever it is."""

import json

import pytest

from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.wire import ExecutionReport, HeartbeatBody, Progress
from tests.support.keys import FIRST
from workers.output import progress
from workers.output.progress import ProgressTracker

ODD = ["a\0b", "caf\udce9", "\ud800", "ok"]


@pytest.mark.parametrize("text", ODD)
def test_odd_text_is_told_as_well_as_it_can_be(text: str) -> None:
    one = ExecutionReport(
        execution_id=ExecutionId(1), attempt=Attempt(1), token="t" * 16, outcome=Outcome.FAILED, message=text
    )
    beat = HeartbeatBody(
        node_id=NodeId(1),
        epoch=Epoch(1),
        holding=0,
        degraded=text,
        progress=[Progress(execution_id=ExecutionId(1), attempt=Attempt(1), note=text)],
    )
    for said in (one.model_dump_json(), beat.model_dump_json()):
        assert "\\u0000" not in said
        assert json.loads(said)


def test_a_program_cannot_silence_its_node_by_what_it_says_of_its_progress() -> None:
    tracker = ProgressTracker(lambda _key: "token-of-a-claim")
    tracker.update(FIRST, progress.last_line(b"GANGER_PROGRESS 40 half\0way\n"))
    (told,) = tracker.take_changes()
    assert (told.percent, told.note) == (40.0, "half\ufffdway")
