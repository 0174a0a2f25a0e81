"""Replays: what is read from a trace, the classic policies by hand, and how results are shown."""

import json
import re
from dataclasses import replace
from statistics import mean
from xml.etree import ElementTree as ET

import pytest

from scheduler.replay import report
from scheduler.replay.fleet import UNLIMITED, changed, read_fleet
from scheduler.replay.history import jobs_of_history
from scheduler.replay.plot import as_svg, ticks
from scheduler.replay.policies import POLICIES
from scheduler.replay.replay import ReplayResult, replay
from scheduler.replay.report import ReplayTimeline
from scheduler.replay.trace import SkippedJobs, TraceJob, jobs_of, machine_size, read_log, read_swf, runnable
from scheduler.rules.cluster.resources import Resources
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


def run(policy: str, *rows: tuple[float, float, int]) -> ReplayResult:
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
    assert runnable(read_log(TRACE), 16)[1] == SkippedJobs(never_ran=1, no_processors=0, too_wide=1)


ROW = "1 10 -1 99 -1 -1 -1 8 60 -1 1 7 -1 2 -1 -1 -1 {}"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1 2 3", "line 3 has 3 fields, the Standard Workload Format has 18"),
        *((ROW.format(word), f"line 3: field 18 is '{word}', which is no number") for word in ("inf", "1e400", "nan", "abc")),
    ],
)  # fmt: skip
def test_a_line_that_is_not_of_the_format_is_named(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        read_swf(["; MaxProcs: 9", "", line], 16)


def test_what_is_left_out_of_a_trace_is_said_in_a_sentence() -> None:
    assert report.left_out(SkippedJobs(), 4) is None
    assert report.left_out(SkippedJobs(never_ran=2, no_processors=1, too_wide=3), 4) == (
        "6 jobs of the trace left out: 3 wider than the 4 cpus that all nodes have together, "
        "2 without a run time, which never ran, 1 without a number of cpus."
    )


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
    assert "1 job never started: nothing in this fleet could hold it." in report.as_text(
        [summary], [report.course(outcome, 10)]
    )


def test_a_replay_in_which_nothing_ran_has_no_figures() -> None:
    outcome = run("ganger", (0.0, 10.0, 9), (5.0, 10.0, 9))
    summary, course = report.summarise("ganger", outcome), report.course(outcome, 10)
    assert [word for word in report.as_text([summary], [course]).splitlines()[1].split() if word != "-"] == [
        "ganger",
        "0",
    ]
    (data,) = report.as_data([summary], [course])
    assert {name for name, value in data.items() if value is None} == {
        "mean_wait_s", "p95_wait_s", "max_wait_s", "mean_bounded_slowdown", "utilisation", "makespan_s", "prediction_error",
    }  # fmt: skip


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
    data = json.loads(json.dumps(report.as_data(summaries, list(courses.values()))))
    assert data[0]["policy"] == "ganger"
    course = data[2]["course"]
    assert (course["start"], course["step_s"], course["most_waiting"]) == (0.0, 35.0, 3)
    assert course["waiting"] == [round(value, 2) for value in courses["fcfs"].waiting]
    assert len(course["in_use"]) == 20
    state = ET.fromstring(as_svg(courses, "a < b"))  # noqa: S314 - our own picture
    assert len(state.findall("{*}polyline")) == 6


def test_only_nothing_looks_like_nothing_and_the_time_stands_below() -> None:
    outcome = run("fcfs", (0.0, 7200.0, 4), (0.0, 7200.0, 1), (7200.0, 7200.0, 4))
    lines = report.as_text([report.summarise("fcfs", outcome)], [report.course(outcome, 24)]).splitlines()
    assert lines[-4:] == [
        "fcfs: waiting (up to 1), in use", "  ████████████████        ", "  ████████▂▂▂▂▂▂▂▂████████", "  |0    |1.5 h|3.0 h|4.5 h|6.0 h",
    ]  # fmt: skip


def test_a_picture_has_round_numbers_up_to_the_most_that_waited_and_no_empty_words() -> None:
    course = ReplayTimeline(0.0, 3600.0, (0.0, 90.5, 12.0), (0.0, 1.0, 0.5), most=109)
    words = [one.text for one in ET.fromstring(as_svg({"ganger": course})).findall(".//{*}text")]  # noqa: S314 - likewise
    assert None not in words
    assert words[2:9] == ["0", "20", "40", "60", "80", "100", "120"]
    assert words[9:16] == ["0", "0.5 h", "1 h", "1.5 h", "2 h", "2.5 h", "3 h"]
    assert ticks(1, whole=True) == [0, 1]
    assert ticks(163, whole=True)[-1] == 175


def test_a_picture_has_a_bar_for_each_policy_of_each_class_of_job_as_high_as_its_mean_wait() -> None:
    blocker = (0.0, 8000.0, 32)
    rows = [blocker, *((1.0, run_s, cpus) for cpus in (1, 4, 8) for run_s in (600.0, 7300.0) for _ in range(2))]
    outcomes = {
        name: replay(jobs(*rows), [a_node(1, cpus=32)], POLICIES[name]) for name in ("fcfs", "easy")
    }  # the blocker is wide and long
    courses = {name: report.course(outcome, 20) for name, outcome in outcomes.items()}
    picture = ET.fromstring(as_svg(courses))  # noqa: S314 - our own picture
    words = [one.text or "" for one in picture.findall("{*}text")]
    names = [f"{width} {length}" for width in ("narrow", "middle", "wide") for length in ("short", "long")]
    assert [word for word in words if word in names] == names
    panel = words[next(at for at, word in enumerate(words) if word == "mean wait by class of job, h") :]
    scale = [float(word) for word in panel[1 : panel.index("narrow short")]]
    heights = [float(bar.attrib["height"]) for bar in picture.findall("{*}rect[@class='wait']")]
    frame = next(float(box.attrib["height"]) for box in picture.findall("{*}rect[@fill='none']"))
    expected = [
        mean(outcome.started[job.id] - job.submitted for job in outcome.jobs if _class_name(job) == name)
        for name in names
        for outcome in outcomes.values()
    ]
    assert [height / frame * scale[-1] * 3600 for height in heights] == pytest.approx(
        expected, abs=3600 * scale[-1] / frame
    )
    assert min(expected) > 0


def _class_name(job: TraceJob) -> str:
    """The class of a job on a machine of 32 cpus."""
    cpus = job.requires.cpus / 1000
    width = "narrow" if cpus < 2 else "middle" if cpus < 8 else "wide"
    return f"{width} {'long' if job.run_s > 7200 else 'short'}"


def test_a_fleet_is_read_from_words_and_changed_by_them() -> None:
    fleet = read_fleet(["2*cpus=16,mem=64000,pool=big,gpu=1,zone:x", "cpus=0.5"])
    assert [node.name for node in fleet] == ["node-1", "node-2", "node-3"]
    assert fleet[0].capacity == replace(Resources.of(cpus=16, mem=64000, custom={"gpu": 1}), disk=UNLIMITED)
    assert (fleet[1].pool, fleet[1].labels) == ("big", {"zone": "x"})
    more = changed(fleet, added=["cpus=1"], drained=["node-2"])
    assert [node.draining for node in more] == [False, True, False, False]
    assert more[-1].id == 4
    with pytest.raises(ValueError, match="no such nodes: elsewhere"):
        changed(fleet, drained=["elsewhere"])


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("x*cpus=1", "'x*cpus=1' is none of 16cpus, 64gib, name=amount and label:value"),
        ("cpus", "'cpus' is none of 16cpus, 64gib, name=amount and label:value"),
        ("cpus=much", "'much' is not a number"),
        ("999999*cpus=1", "more than 100000 nodes"),
        ("4x16cpus,64GB", "'64GB' has no unit that is known: memory is said in mib, gib or tib, such as 64gib"),
        (
            "16cpus,disk=64gb",
            "'disk=64gb' has no unit that is known: disk is said in mib, gib or tib, such as disk=64gib",
        ),
        ("16cpus,64gib,200gib", "'200gib' says mem a second time; disk is said as disk=200gib"),
        ("16x16cpus,16cpus", "'16cpus' says cpus a second time; give nodes of another kind by an option of their own"),
        ("2x16cpus,2x8cpus", "'2x8cpus' stands behind a comma or another count"),
        ("16cpus,zone:a,zone:b", "'zone:b' says zone a second time"),
        ("0x4cpus", "'0x' is no node at all; begin with 1x or more"),
        ("4x", "'4x' does not say what a node has, such as 4x16cpus,64gib"),
        ("pool=a", "'pool=a' does not say what a node has"),
        ("1x4mem", "'4mem' has no unit: write mem=4gib, or mem=4 in MiB"),
    ],
)
def test_a_fleet_that_makes_no_sense_is_refused_with_the_part_and_the_remedy(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        read_fleet([spec])


def test_memory_and_disk_are_unlimited_where_a_fleet_does_not_name_them_and_nothing_else_is() -> None:
    needs = Resources.of(cpus=1, mem=1000, disk=64)
    some = [TraceJob(1, 0.0, 10.0, needs, 10.0), TraceJob(2, 0.0, 10.0, Resources.of(cpus=1, custom={"gpu": 1}), 10.0)]
    assert set(replay(some, read_fleet(["4x16cpus"]), POLICIES["ganger"]).started) == {1}
    assert set(replay(some, read_fleet(["4x16cpus,999mib,gpu=1"]), POLICIES["ganger"]).started) == {2}
    assert set(replay(some, read_fleet(["100000x1cpu,1gpu"]), POLICIES["ganger"]).started) == {1, 2}


def test_a_past_job_keeps_its_priority_of_0() -> None:
    ended = {
        "id": 7, "created": "2026-11-22T10:00:00Z", "started": "2026-11-22T10:00:00Z", "ended": "2026-11-22T10:00:09Z",
        "cpus_required": 1, "mem_required": 1, "job_type": {"id": 1}, "priority": 0,
    }  # fmt: skip
    assert [job.priority for job in jobs_of_history([ended])] == [0]
