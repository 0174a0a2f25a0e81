"""Usage on its way: what a node adds up and when it tells it, and the line that is drawn through samples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.rules.lifecycle import usage
from scheduler.rules.lifecycle.usage import StoredSample, UsagePeaks
from scheduler.wire import MAX_SAMPLES
from tests.support.keys import FIRST
from workers.output.usage import UsageTracker

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Setting:
    """A tracker that sends every 10 seconds, and its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.token = "token-of-a-claim"
        self.tracker = UsageTracker(lambda _key: self.token, 10.0, lambda: self.now)
        self.tracker.note_phases(FIRST, {})

    def sample(self, at: float = 0.0, **facts: Any) -> None:
        found = {"at": at, "seconds": 10.0, "cpu_s": 5.0, "mem_mib": 100.0, "disk_mib": None}
        self.tracker.sample(FIRST, found | facts)

    def take(self) -> list[float]:
        self.now += 10
        return [one.at for one in self.tracker.take()]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_samples_go_together_and_most_heartbeats_have_none(setting: Setting) -> None:
    assert setting.tracker.take() == [], "an idle node sends nothing"
    setting.sample(1.0)
    assert [one.at for one in setting.tracker.take()] == [1.0]
    setting.sample(2.0)
    assert setting.tracker.take() == [], "the last ones went just now"
    setting.sample(3.0)
    assert setting.take() == [2.0, 3.0]


def test_the_phases_before_count_for_the_next_one(setting: Setting) -> None:
    over: dict[str, dict[str, Any]] = {
        "pre": {"started": 1.0, "usage": {"seconds": 4.0, "cpu_s": 3.0}},
        "job": {"started": 2.0},
    }
    setting.tracker.note_phases(FIRST, over)
    setting.sample(seconds=10.0, cpu_s=5.0)
    setting.sample(seconds=20.0, cpu_s=None)
    setting.now += 10
    assert [(one.seconds, one.cpu_s) for one in setting.tracker.take()] == [(14.0, 8.0), (24.0, None)]


def test_samples_outlive_their_execution_until_they_are_sent(setting: Setting) -> None:
    setting.sample(1.0)
    setting.tracker.drop(FIRST)
    setting.token = ""
    setting.sample(2.0)
    assert setting.take() == [1.0]


def test_what_an_agent_that_was_restarted_does_not_know_yet_is_not_told(setting: Setting) -> None:
    setting.tracker.drop(FIRST)
    setting.sample(1.0)
    assert setting.take() == []
    setting.tracker.note_phases(FIRST, {})
    setting.sample(2.0)
    assert setting.take() == [2.0]


def test_what_could_not_be_sent_goes_first_with_the_next_one_and_there_is_a_bound(setting: Setting) -> None:
    setting.sample(1.0)
    setting.now += 10
    taken = setting.tracker.take()
    setting.sample(2.0)
    setting.tracker.put_back(taken)
    assert [one.at for one in setting.tracker.take()] == [1.0, 2.0]

    for number in range(50 * MAX_SAMPLES):
        setting.sample(float(number))
    setting.now += 10
    taken = setting.tracker.take()
    oldest = 10 * MAX_SAMPLES
    assert [one.at for one in taken] == [float(oldest + n) for n in range(MAX_SAMPLES)], "older ones are dropped"
    following = setting.tracker.take()
    assert [one.at for one in following] == [one.at + MAX_SAMPLES for one in taken], "the rest follows at once"
    setting.tracker.put_back(following)
    setting.tracker.put_back(taken)
    assert setting.take() == [one.at for one in taken]


def test_cpus_are_those_between_two_points_and_unknown_where_a_node_counts_anew() -> None:
    samples = [
        StoredSample(0, 10, 10, 5, 100, None),
        StoredSample(0, 20, 20, 25, None, None),
        StoredSample(0, 30, 30, None, 300, None),
        StoredSample(0, 40, 40, 65, 200, None),
        StoredSample(0, 50, 9, 3, 200, None),
        StoredSample(0, 60, 19, 13, 200, 7),
    ]
    line = usage.points(NOON, samples)
    assert [one.cpus for one in line] == [0.5, 2.0, None, 2.0, None, 1.0]
    assert line[0].time == NOON + timedelta(seconds=10)
    assert usage.peaks(line, {"job": {"peak_mem_mib": 350.0}, "post": {}}) == UsagePeaks(2.0, 350.0, 7)
    assert usage.peaks([], {}) == UsagePeaks(None, None, None)


@pytest.mark.parametrize(
    ("status", "ran_s", "measured", "words"),
    [
        ("QUEUED", None, {}, "It has not started."),
        ("RUNNING", 5, {}, "The first sample comes 10 seconds after"),
        ("RUNNING", 500, {}, "cannot measure while it runs"),
        ("COMPLETED", 5, {"job": {"seconds": 5.0}}, "less than 10 seconds"),
        ("COMPLETED", 500, {"job": {"seconds": 500.0}}, "its node took none"),
        ("LOST", 500, {}, "nothing was measured"),
    ],
)
def test_no_samples_have_a_reason(
    status: str, ran_s: float | None, measured: dict[str, dict[str, float]], words: str
) -> None:
    now = NOON + timedelta(seconds=ran_s or 0)
    started = None if ran_s is None else NOON
    assert words in usage.why_none(status, started, None, now, measured)
