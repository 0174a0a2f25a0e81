"""Who leads: one at a time, handed over when it goes, fenced by its term."""

import pytest

from scheduler.identifiers import Term
from scheduler.leader import tick
from scheduler.leader.dispatch import Dispatcher
from scheduler.leader.process import SchedulerProcess
from tests.support.cluster import Cluster


class NoDispatcher(Dispatcher):
    """Delivers nothing: every node hears of its placements by its beats."""

    def __init__(self) -> None:
        """Open no connection."""

    def deliver(self, delivery: object) -> None:
        pass


def _scheduler(cluster: Cluster, clock: list[float]) -> SchedulerProcess:
    return SchedulerProcess(cluster.rt, NoDispatcher(), monotonic=lambda: clock[0])


def test_one_of_two_leads_and_the_other_takes_over_when_it_stops(cluster: Cluster) -> None:
    clock = [0.0]
    first, second = _scheduler(cluster, clock), _scheduler(cluster, clock)
    first._lead()
    second._lead()
    assert (first._leadership.term is None, second._leadership.term is None) == (False, True)
    first._leadership.step_down(first._leadership.term, "test")
    second._lead()
    assert second._leadership.term is not None
    second._leadership.step_down(second._leadership.term, "test")


def test_a_leader_whose_beat_stands_still_is_replaced_and_finds_out(cluster: Cluster) -> None:
    clock = [0.0]
    first, second = _scheduler(cluster, clock), _scheduler(cluster, clock)
    first._lead()
    second._lead()
    clock[0] += cluster.settings.leader_s - 1
    second._lead()
    assert second._leadership.term is None
    clock[0] += 1
    second._lead()
    assert second._leadership.term is not None
    first._lead()
    assert first._leadership.term is None
    second._leadership.step_down(second._leadership.term, "test")


def test_a_tick_of_an_old_term_writes_nothing(cluster: Cluster) -> None:
    cluster.a_node()
    cluster.a_job()
    cluster.change("UPDATE leader SET term = term + 1")
    with pytest.raises(tick.TermOver):
        cluster.tick()
    assert cluster.value("SELECT count(*) FROM executions") == 0


def test_a_new_leader_reads_the_queue_anew_and_places_what_waits(cluster: Cluster) -> None:
    cluster.a_node()
    job_id = cluster.a_job()
    clock = [0.0]
    scheduler = _scheduler(cluster, clock)
    scheduler._lead()
    scheduler._tick_loop.turn()
    assert cluster.job(job_id).status == "RUNNING"
    assert '"queued":0' in scheduler._report.status
    scheduler._leadership.step_down(scheduler._leadership.term, "test")


def test_a_paused_scheduler_places_nothing_until_it_goes_on(cluster: Cluster) -> None:
    cluster.a_node()
    cluster.a_job()
    cluster.change("UPDATE leader SET is_paused = true")
    assert cluster.tick() == 0
    cluster.change("UPDATE leader SET is_paused = false")
    assert cluster.tick() == 1


def test_a_leader_beats_on_while_a_tick_takes_long(cluster: Cluster) -> None:
    scheduler = _scheduler(cluster, [0.0])
    scheduler._lead()
    before = cluster.value("SELECT beat FROM leader")
    with scheduler._tick_loop.lend():
        scheduler._lead()
    assert cluster.value("SELECT beat FROM leader") == before + 1
    scheduler._leadership.step_down(scheduler._leadership.term, "test")


def test_the_end_of_an_old_term_does_not_end_the_present_one(cluster: Cluster) -> None:
    scheduler = _scheduler(cluster, [0.0])
    scheduler._lead()
    assert scheduler._leadership.term is not None
    scheduler._leadership.step_down(Term(scheduler._leadership.term - 1), "heard late")
    assert scheduler._leadership.term is not None
    scheduler._leadership.step_down(scheduler._leadership.term, "test")
