"""What the leader tells with its beat and its samples, whatever waits and for whatever reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.admin import switches
from scheduler.explain import wait_history
from scheduler.identifiers import ShapeId
from scheduler.identity import Caller, Role
from scheduler.leader.process import SchedulerProcess
from scheduler.leader.waits import ShapeWaits, WaitRecorder
from scheduler.retention.sweep import Sweep
from scheduler.runtime import utc_now
from scheduler.store.leader import lease, wait_spans
from tests.store.test_leadership import NoDispatcher
from tests.support.cluster import Cluster

ADMIN = Caller(1, "ann", Role.ADMIN)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_leader_beats_and_tells_why_jobs_wait(cluster: Cluster) -> None:
    cluster.a_node(cpus=1000)
    cluster.a_job(cpus=2000)
    cluster.a_job(is_held=True)
    cluster.change("UPDATE leader SET is_paused = true")
    clock = [0.0]
    scheduler = SchedulerProcess(cluster.rt, NoDispatcher(), monotonic=lambda: clock[0])
    scheduler._lead()
    for paused in (True, False):
        cluster.change("UPDATE leader SET is_paused = :paused", paused=paused)
        clock[0] += 60
        scheduler._tick_loop.turn()
        scheduler._lead()
        standing = switches.read(cluster.rt)
        assert switches.state(cluster.rt, standing) == ("PAUSED" if paused else "READY")
        assert standing.status["queued"] == 2
        waiting = standing.status["waiting_by_reason"]
        assert sum(waiting.values()) == 2, "every waiting job is counted under one reason"
        assert waiting["held"] == 1
        assert ("scheduler-paused" in waiting) == paused
        assert (standing.status["preemption"], standing.status["reservations"]) == (False, 4)
    scheduler._leadership.step_down(scheduler._leadership.term, "test")


def test_what_the_leader_tells_moves_with_what_happens(cluster: Cluster) -> None:
    """Reasons while jobs wait, none once they run; the error of predictions once jobs end otherwise than expected."""
    later = datetime.now(UTC) + timedelta(hours=1)
    jobs = [cluster.a_job() for _ in range(3)] + [cluster.a_job(not_before=later)]
    clock = [0.0]
    scheduler = SchedulerProcess(cluster.rt, NoDispatcher(), monotonic=lambda: clock[0])

    def told() -> dict[str, Any]:
        for _ in range(2):  # the beat after the turn tells what the turn saw
            clock[0] += 60
            scheduler._tick_loop.turn()
            scheduler._lead()
        return dict(switches.read(cluster.rt).status)

    scheduler._lead()
    assert told()["waiting_by_reason"] == {"no-nodes": 3, "not-before": 1}
    node = cluster.a_node()
    before = told()
    assert (before["waiting_by_reason"], before["prediction_error"]) == ({"not-before": 1}, 0.0)
    for number, job_id in enumerate(jobs[:3]):
        ref = cluster.execution_of(job_id)
        assert cluster.claim(node, ref).granted
        cluster.change(
            "UPDATE executions SET started = now() - make_interval(secs => :run) WHERE id = :id",
            run=10.0 * 4**number, id=ref[0],
        )  # fmt: skip
        cluster.report(node, ref)
        told()
    assert told()["prediction_error"] > 0
    scheduler._leadership.step_down(scheduler._leadership.term, "test")


def test_only_a_leader_samples_the_load(cluster: Cluster) -> None:
    clock = [0.0]
    first, second = (SchedulerProcess(cluster.rt, NoDispatcher(), monotonic=lambda: clock[0]) for _ in range(2))
    first._lead()
    second._lead()
    assert second._sample() == cluster.settings.sample_s
    assert cluster.value("SELECT count(*) FROM load_samples") == 0
    first._sample()
    assert cluster.value("SELECT count(*) FROM load_samples") == 1
    first._leadership.step_down(first._leadership.term, "test")


def spans(cluster: Cluster) -> list[tuple[int, str, float, float | None]]:
    """The recorded waits: shape, reason, and from when to when, in seconds since `NOON`."""
    rows = cluster.query("SELECT shape_id, reason, began, ended FROM wait_spans ORDER BY shape_id, number")
    return [
        (row[0], row[1], (row[2] - NOON).total_seconds(), None if row[3] is None else (row[3] - NOON).total_seconds())
        for row in rows
    ]


def looks(cluster: Cluster, recorder: WaitRecorder, term: Any, *reasons: str | None, begin: float = 0) -> None:
    """Let a recorder look once a second at a shape that waits for these reasons, one after the other; None: it does not wait."""
    for number, reason in enumerate(reasons):
        seen = {} if reason is None else {ShapeId(7): reason}
        recorder.record(cluster.rt, term, ShapeWaits(NOON + timedelta(seconds=begin + number), seen))


def lead(cluster: Cluster) -> Any:
    """Take the lead for a new term."""
    with cluster.rt.db.begin() as tx:
        return lease.take_over(tx, "somebody", lease.read(tx))


def test_why_shapes_wait_is_recorded_with_beginnings_and_ends(cluster: Cluster) -> None:
    term = lead(cluster)
    recorder = WaitRecorder()
    looks(cluster, recorder, term, "no-room-now")
    assert spans(cluster) == [], "what is placed within a second leaves nothing"
    looks(cluster, recorder, term, *["no-room-now"] * 3, "project-quota", "project-quota", None, None, begin=1)
    assert spans(cluster) == [(7, "no-room-now", 0, 4), (7, "project-quota", 4, 6)]
    recorder.record(cluster.rt, None, ShapeWaits(NOON + timedelta(seconds=9), {ShapeId(7): "held"}))
    assert len(spans(cluster)) == 2, "who does not lead records nothing"


def test_a_reason_that_changes_all_the_time_leaves_few_rows(cluster: Cluster) -> None:
    term = lead(cluster)
    looks(cluster, WaitRecorder(), term, *["no-room-now", "behind-others"] * 900)
    assert 20 < len(spans(cluster)) < 600, "a hundredth of the wait at least"


def test_a_new_leader_ends_what_the_one_before_left_open_at_its_last_sign_of_life(cluster: Cluster) -> None:
    first = lead(cluster)
    looks(cluster, WaitRecorder(), first, "no-room-now", "no-room-now")
    cluster.change("UPDATE leader SET at = :at", at=NOON + timedelta(seconds=5))
    second = lead(cluster)
    looks(cluster, WaitRecorder(), first, "project-quota", "project-quota", begin=8)
    assert spans(cluster) == [(7, "no-room-now", 0, None)], "a term that is over writes nothing"
    looks(cluster, WaitRecorder(), second, "no-room-now", "no-room-now", begin=100)
    assert spans(cluster) == [(7, "no-room-now", 0, 5), (7, "no-room-now", 100, None)]


def test_the_record_is_bounded_and_goes_with_the_jobs(cluster: Cluster) -> None:
    term = lead(cluster)
    cluster.change(
        """INSERT INTO wait_spans (shape_id, number, reason, began, ended)
           SELECT 7, n, 'held', CAST(:noon AS timestamptz), CAST(:noon AS timestamptz) FROM generate_series(1, 5000) AS n""",
        noon=NOON,
    )
    looks(cluster, WaitRecorder(), term, "no-room-now", "no-room-now", None)
    assert cluster.value("SELECT count(*) FROM wait_spans") == wait_spans.MOST_SPANS
    kept, hour_ago = cluster.a_job(), utc_now() - timedelta(hours=1)
    shift = "UPDATE wait_spans SET began = began + CAST(:by AS interval), ended = ended + CAST(:by AS interval)"
    cluster.change(shift, by=hour_ago - NOON)
    cluster.change("UPDATE jobs SET created = :at WHERE id = :id", at=hour_ago + timedelta(seconds=1), id=kept)
    assert Sweep(cluster.rt).run()["waits"] == wait_spans.MOST_SPANS - 1
    assert cluster.query("SELECT shape_id, reason FROM wait_spans") == [(7, "no-room-now")], (
        "the oldest job may have waited then"
    )
    cluster.change("UPDATE jobs SET created = :at WHERE id = :id", at=hour_ago + timedelta(seconds=10), id=kept)
    assert Sweep(cluster.rt).run()["waits"] == 1


def test_a_job_that_is_kept_for_years_keeps_not_everybodys_waits(cluster: Cluster) -> None:
    kept = cluster.a_job()
    cluster.change("UPDATE jobs SET created = now() - interval '3 years' WHERE id = :id", id=kept)
    cluster.change(
        """INSERT INTO wait_spans (shape_id, number, reason, began, ended)
           SELECT 7, days, 'held', now() - make_interval(days => days), now() - make_interval(days => days)
           FROM unnest(ARRAY[1, 89, 91, 400]) AS days"""
    )
    assert Sweep(cluster.rt).run()["waits"] == 2
    assert cluster.query("SELECT number FROM wait_spans ORDER BY 1") == [(1,), (89,)]


def test_the_leaders_ticks_tell_the_recorder_what_waits(cluster: Cluster) -> None:
    cluster.a_node(cpus=1000)
    job = cluster.a_job(cpus=2000)
    clock = [0.0]
    scheduler = SchedulerProcess(cluster.rt, NoDispatcher(), monotonic=lambda: clock[0])
    scheduler._lead()
    for _ in range(3):
        clock[0] += 60
        scheduler._tick_loop.turn()
        scheduler._record_waits()
    found = wait_history.history(cluster.rt, ADMIN, job)
    assert [(one["reason"], one["ended"]) for one in found["results"]] == [("node-too-small", None)]
    assert found["waited_s"] > 0
    scheduler._leadership.step_down(scheduler._leadership.term, "test")
