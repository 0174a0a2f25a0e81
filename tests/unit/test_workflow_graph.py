"""The drawing of a workflow: what a box is shown as, the chain that decided its time, and bars over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from api.ui.show import workflow_graph

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def box(name: str, *, started: float | None = None, ended: float | None = None, **counts: int) -> dict[str, Any]:
    times = {
        word: None if at is None else BEGIN + timedelta(seconds=at)
        for word, at in (("started", started), ("ended", ended))
    }
    return {"name": name, "jobs": [name], "job_id": 1, "level": 0, "x": 0, "y": 0, "counts": counts, **times}


def graph(boxes: list[dict[str, Any]], *arrows: str) -> dict[str, Any]:
    pairs = [{"source": pair[0], "target": pair[1]} for pair in arrows]
    return {"boxes": boxes, "arrows": pairs, "width": 200, "height": 56, "box_width": 200, "box_height": 56}


def test_a_box_is_shown_as_the_worst_that_one_of_its_jobs_is() -> None:
    drawn = workflow_graph.draw(graph([box("a", COMPLETED=97, FAILED=3)]))
    (shown,) = drawn.boxes
    assert (shown.status, shown.tone, shown.words, shown.step) == ("FAILED", "bad", "3 failed, 97 completed", "a")
    assert [round(part.width, 1) for part in shown.parts] == [170.7, 5.3]


def test_the_chain_that_decided_the_time_goes_back_from_the_last_end() -> None:
    ended = [box("a", started=0, ended=1, COMPLETED=1), box("b", started=1, ended=9, COMPLETED=1),
             box("c", started=1, ended=3, COMPLETED=1), box("d", started=9, ended=10, COMPLETED=1)]  # fmt: skip
    arrows = ("ab", "ac", "bd", "cd")
    assert workflow_graph.critical(graph(ended, *arrows)) == ["a", "b", "d"]
    running = [*ended[:3], box("d", started=9, RUNNING=1)]
    assert workflow_graph.critical(graph(running, *arrows)) == []


def test_bars_end_where_the_drawing_does() -> None:
    boxes = [box("a", started=0, ended=10, COMPLETED=1), box("b", started=10, RUNNING=1), box("c", QUEUED=1)]
    bars = workflow_graph.over_time(graph(boxes), BEGIN + timedelta(seconds=40))
    assert [(bar.name, bar.x, bar.width) for bar in bars] == [("a", 0, 250), ("b", 250, 750)]
    assert bars[1].words == "30\u202fs so far"
