"""What the leader tells with its beat and its samples, whatever waits and for whatever reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

from scheduler.admin import switches
from scheduler.leader.process import SchedulerProcess
from tests.store.test_leadership import NoDispatcher
from tests.support.cluster import Cluster


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
