"""Replays: what is read from a trace, the classic policies by hand, and how results are shown."""

import json
from xml.etree import ElementTree as ET

import pytest

from scheduler.rules.resources import Resources
from scheduler.simulation import report
from scheduler.simulation.fleet import changed, read_fleet
from scheduler.simulation.plot import as_svg
from scheduler.simulation.policies import POLICIES
from scheduler.simulation.replay import Outcome, replay
from scheduler.simulation.trace import TraceJob, jobs_of, machine_size, read_swf
from tests.support.placement import a_node

TRACE = """; MaxNodes: 8
; MaxProcs: 16
3 20 -1 30 4 -1 -1 -1 -1 -1 1 7 -1 2 -1 -1 -1 -1
1 10 -1 99 -1 -1 -1 8 60 -1 1 7 -1 2 -1 -1 -1 -1
2 10 -1 0 4 -1 -1 4 60 -1 1 7 -1 2 -1 -1 -1 -1
4 30 -1 30 99 -1 -1 4 60 -1 1 7 -1 2 -1 -1 -1 -1
""".splitlines()


def jobs(*rows: tuple[float, float, int]) -> list[TraceJob]:
    """Jobs by submission, run time and cpus; limits are the run times."""
    return [TraceJob(number, at, run, Resources.of(cpus=cpus), run) for number, (at, run, cpus) in enumerate(rows, 1)]


def run(policy: str, *rows: tuple[float, float, int]) -> Outcome:
    return replay(jobs(*rows), [a_node(1, cpus=4)], POLICIES[policy])


def test_a_log_is_read_by_its_rules() -> None:
    records = read_swf(TRACE, 16)
    assert [(r.number, r.submitted, r.run_s, r.processors, r.limit_s) for r in records] == [
        (1, 10, 60, 8, 60),
        (3, 20, 30, 4, 30),
    ]
    assert machine_size(TRACE) == 16
    first, second = jobs_of(records, widest=5)
    assert (first.count, first.requires.cpus, first.kind) == (2, 4000, (7, 2))
    assert second.count == 1
    with pytest.raises(ValueError, match="line 1 has 3 fields"):
        read_swf(["1 2 3"], 16)


ROWS = ((0.0, 100.0, 3), (1.0, 100.0, 4), (2.0, 50.0, 1), (3.0, 500.0, 1))


def test_first_come_first_served_lets_nobody_pass() -> None:
    assert run("fcfs", *ROWS).started == {1: 0.0, 2: 100.0, 3: 200.0, 4: 200.0}


@pytest.mark.parametrize("policy", ["easy", "ganger"])
def test_backfill_lets_pass_who_does_not_delay_the_first(policy: str) -> None:
    assert run(policy, *ROWS).started == {1: 0.0, 2: 100.0, 3: 2.0, 4: 200.0}


def test_a_job_that_nothing_could_hold_is_counted_and_the_replay_ends() -> None:
    outcome = run("ganger", (0.0, 10.0, 9), (0.0, 10.0, 1))
    summary = report.summarise("ganger", outcome)
    assert (summary.jobs, summary.left) == (1, 1)
    assert "1 jobs never started" in report.as_text([summary], [report.course(outcome, 10)])


def test_progress_is_told_up_to_the_last_job() -> None:
    told: list[tuple[int, int]] = []
    replay(
        jobs(*[(float(at), 1.0, 1) for at in range(250)]),
        [a_node(1)],
        POLICIES["ganger"],
        progress=lambda done, of: told.append((done, of)),
    )
    assert told == [(100, 250), (200, 250), (250, 250)]


def test_the_figures_are_those_of_a_calculation_by_hand() -> None:
    outcome = run("fcfs", (0.0, 100.0, 4), (0.0, 5.0, 2))
    summary = report.summarise("fcfs", outcome)
    assert (summary.mean_wait_s, summary.max_wait_s) == (50.0, 100.0)
    assert summary.mean_bounded_slowdown == (1.0 + 10.5) / 2
    assert summary.makespan_s == 105.0
    assert summary.utilisation == pytest.approx((100 + 2.5) / 105)
    course = report.course(outcome, 21)
    assert course.in_use == pytest.approx((*[1.0] * 20, 0.5))
    assert course.waiting == pytest.approx((*[1.0] * 20, 0.0))


def test_results_are_shown_as_text_data_and_picture() -> None:
    outcomes = {name: run(name, *ROWS) for name in POLICIES}
    summaries = [report.summarise(name, outcome) for name, outcome in outcomes.items()]
    courses = {name: report.course(outcome, 20) for name, outcome in outcomes.items()}
    text = report.as_text(summaries, list(courses.values()))
    assert all(name in text for name in POLICIES)
    assert json.loads(json.dumps(report.as_data(summaries)))[0]["policy"] == "ganger"
    picture = ET.fromstring(as_svg(courses, "a < b"))  # noqa: S314 - our own picture
    assert len(picture.findall("{*}polyline")) == 6


def test_a_fleet_is_read_from_words_and_changed_by_them() -> None:
    fleet = read_fleet(["2*cpus=16,mem=64000,pool=big,gpu=1,zone:x", "cpus=0.5"])
    assert [node.name for node in fleet] == ["node-1", "node-2", "node-3"]
    assert fleet[0].capacity == Resources.of(cpus=16, mem=64000, custom={"gpu": 1})
    assert (fleet[1].pool, fleet[1].labels) == ("big", {"zone": "x"})
    more = changed(fleet, added=["cpus=1"], drained=["node-2"])
    assert [node.draining for node in more] == [False, True, False, False]
    assert more[-1].id == 4
    with pytest.raises(ValueError, match="no such nodes: elsewhere"):
        changed(fleet, drained=["elsewhere"])


@pytest.mark.parametrize("spec", ["x*cpus=1", "cpus", "cpus=much", "999999*cpus=1"])
def test_a_fleet_that_makes_no_sense_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_fleet([spec])
