"""The verbs of nodes and scheduler against the real database: placement, claim, report, cancel, loss."""

from __future__ import annotations

import threading

import pytest

from scheduler import wire
from scheduler.errors import NodeReplaced
from scheduler.executions import node_protocol, withdrawal
from scheduler.identifiers import JobId
from scheduler.jobs import cancel, requeue
from scheduler.leader import maintenance
from scheduler.nodes import lost as lost_nodes
from scheduler.nodes import registration
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.store.jobs import jobs
from tests.support.cluster import TOKEN, Cluster


def test_a_job_is_placed_claimed_and_completed(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    job_id, ref = cluster.running(node)
    assert cluster.delivered == [("alpha", 1, *ref)]
    assert cluster.job(job_id).num_exes == 1
    answer = cluster.report(node, ref, phases={"job": {"started": 1.0, "completed": 2.0, "exit_code": 0}})
    assert [(r.execution_id, r.attempt) for r in answer.accepted] == [ref]
    job = cluster.job(job_id)
    assert (job.status, job.result_attempt) == ("COMPLETED", 1)
    assert cluster.execution(ref[0]).job_exit_code == 0
    assert "tick" in cluster.nudges


def test_a_repeated_claim_with_the_same_token_is_granted_again_and_charged_once(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    again = cluster.claim(node, ref)
    assert [g.execution_id for g in again.granted] == [ref[0]]
    assert cluster.job(job_id).num_exes == 1


def test_a_second_claimer_is_refused_and_told_why(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, ref = cluster.running(node)
    other = cluster.a_node()
    assert [r.why for r in cluster.claim(other, ref).refused] == ["it was placed on another node"]
    assert [r.why for r in cluster.claim(node, ref, token="another-token-of-sixteen").refused] == ["it is RUNNING"]


def test_a_failed_try_is_repeated_until_the_tries_are_used_up(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job(max_tries=2)
    for attempt, after in ((1, "QUEUED"), (2, "FAILED")):
        assert cluster.tick() == 1
        ref = cluster.execution_of(job_id)
        assert ref[1] == attempt
        cluster.claim(node, ref)
        cluster.report(node, ref, "failed", phases={"job": {"exit_code": 3}})
        assert cluster.job(job_id).status == after
    assert cluster.job(job_id).error == "checksum"


def test_a_repeated_report_is_acknowledged_and_changes_nothing(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    cluster.report(node, ref, "failed", error="timeout")
    cluster.tick()
    second = cluster.report(node, ref, "failed", error="timeout")
    assert second.accepted
    assert (cluster.job(job_id).status, cluster.job(job_id).attempt) == ("RUNNING", 2)


def test_a_report_with_a_foreign_token_is_fenced(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    assert cluster.report(node, ref, token="somebody-elses-token").fenced
    assert cluster.job(job_id).status == "RUNNING"


def test_cancel_of_a_queued_job_is_final_at_once(cluster: Cluster) -> None:
    cluster.a_node()
    job_id = cluster.a_job()
    assert cancel.cancel(cluster.rt, [job_id], actor="me").moved == [job_id]
    assert cluster.tick() == 0
    assert cluster.job(job_id).status == "CANCELED"


def test_cancel_before_the_claim_drops_the_placement_and_frees_its_room(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=1000)
    job_id = cluster.a_job()
    cluster.tick()
    ref = cluster.execution_of(job_id)
    cancel.cancel(cluster.rt, [job_id], actor="me")
    assert cluster.execution(ref[0]).status == "CANCELED"
    assert cluster.claim(node, ref).refused
    cluster.a_job()
    assert cluster.tick() == 1


def test_cancel_beats_a_later_completion_and_keeps_the_room_until_the_tree_is_dead(cluster: Cluster) -> None:
    node = cluster.a_node("alpha", cpus=1000)
    job_id, ref = cluster.running(node)
    cancel.cancel(cluster.rt, [job_id], actor="me", reason="not wanted")
    assert "node:alpha" in cluster.nudges
    assert [(c.execution_id, c.reason) for c in cluster.beat(node).cancels] == [(ref[0], "canceled")]
    cluster.a_job()
    assert cluster.tick() == 0, "the room is still held"
    assert cluster.report(node, ref, "completed").accepted
    assert cluster.job(job_id).status == "CANCELED"
    assert cluster.execution(ref[0]).status == "COMPLETED"
    assert cluster.tick() == 1


def test_cancel_tells_what_it_could_not_cancel(cluster: Cluster) -> None:
    done, gone = cluster.a_job("COMPLETED"), cluster.a_job("CANCELED")
    answer = cancel.cancel(cluster.rt, [done, gone, JobId(999_999)], actor="me")
    assert answer.moved == []
    assert answer.unchanged == {done: JobStatus.COMPLETED, gone: JobStatus.CANCELED}


def test_a_returned_try_is_not_charged(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node, max_tries=1)
    cluster.report(node, ref, "returned", message="the node stops")
    job = cluster.job(job_id)
    assert (job.status, job.num_exes, job.forgiven) == ("QUEUED", 1, 1)
    assert cluster.tick() == 1


def test_a_new_round_grants_as_many_tries_as_are_allowed_whatever_was_forgiven_before(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node, max_tries=1)
    cluster.report(node, ref, "returned")
    for _ in range(2):
        assert cluster.tick() == 1
        ref = cluster.execution_of(job_id)
        cluster.claim(node, ref)
        cluster.report(node, ref, "failed")
        assert cluster.job(job_id).status == "FAILED"
        requeue.requeue(cluster.rt, [job_id], actor="me")


def test_the_beat_repeats_placements_whose_message_was_lost(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job()
    cluster.tick()
    assert [w.execution_id for w in cluster.beat(node).waiting] == [cluster.execution_of(job_id)[0]]


def test_a_job_larger_than_the_room_waits_and_the_reason_is_known(cluster: Cluster) -> None:
    cluster.a_node(cpus=2000)
    cluster.a_job(cpus=64_000)
    assert cluster.tick() == 0


def test_two_schedulers_with_the_same_picture_do_not_place_twice(cluster: Cluster, database_url: str) -> None:
    cluster.a_node(cpus=3000)
    for _ in range(10):
        cluster.a_job()
    other = Cluster.__new__(Cluster)
    other.__dict__.update(cluster.__dict__)
    other.state = type(cluster.state)(cluster.settings)
    with cluster.rt.db.begin() as tx:
        cluster.state.refresh(tx)
        other.state.refresh(tx)
    placed: list[int] = []
    threads = [threading.Thread(target=lambda c=c: placed.append(c.tick())) for c in (cluster, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(placed) == 3
    assert cluster.value("SELECT count(*) FROM executions") == 3


def test_a_silent_node_loses_its_executions_and_its_epoch_rises(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    job_id, ref = cluster.running(node)
    clock = [0.0]
    watch = lost_nodes.SilentNodes()
    for clock[0] in (0.0, 5.0, 10.0, 15.0):
        assert lost_nodes.declare_lost(cluster.rt, watch, lambda: clock[0]) == []
    assert cluster.value("SELECT is_silent FROM nodes") is True
    for second in range(20, 91, 5):
        clock[0] = float(second)
        lost = lost_nodes.declare_lost(cluster.rt, watch, lambda: clock[0])
    assert lost == ["alpha"]
    assert cluster.job(job_id).status == "QUEUED"
    assert cluster.execution(ref[0]).status == "LOST"
    with pytest.raises(NodeReplaced):
        cluster.beat(node)
    assert cluster.report(node, ref).fenced
    back = cluster.a_node("alpha", held=[{"execution_id": ref[0], "attempt": 1, "token": TOKEN}])
    assert back.epoch > node.epoch
    assert [k.execution_id for k in back.kill] == [ref[0]]


def test_a_scheduler_that_was_away_itself_begins_to_watch_again(cluster: Cluster) -> None:
    cluster.a_node("alpha")
    watch = lost_nodes.SilentNodes()
    lost_nodes.declare_lost(cluster.rt, watch, lambda: 0.0)
    assert lost_nodes.declare_lost(cluster.rt, watch, lambda: 1000.0) == []
    assert cluster.value("SELECT is_silent FROM nodes") is False


def test_a_third_of_the_fleet_at_once_is_not_believed_for_one_more_lease(cluster: Cluster) -> None:
    for _ in range(3):
        cluster.a_node()
    watch, clock = lost_nodes.SilentNodes(), [0.0]
    losses = {}
    for second in range(0, 200, 5):
        clock[0] = float(second)
        losses[second] = lost_nodes.declare_lost(cluster.rt, watch, lambda: clock[0])
    assert {second for second, lost in losses.items() if lost} == {180}


def test_the_same_machine_comes_back_and_keeps_what_it_holds(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    _, ref = cluster.running(node)
    held = [{"execution_id": ref[0], "attempt": ref[1], "token": TOKEN}]
    back = cluster.a_node("alpha", held=held)
    assert (back.epoch, [k.execution_id for k in back.keep], back.kill) == (node.epoch, [ref[0]], [])


def test_a_rebooted_machine_has_lost_what_it_ran(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    job_id, ref = cluster.running(node)
    back = cluster.a_node("alpha", boot_id="boot-2", held=[{"execution_id": ref[0], "attempt": 1, "token": TOKEN}])
    assert [k.execution_id for k in back.kill] == [ref[0]]
    assert (cluster.job(job_id).status, cluster.execution(ref[0]).status) == ("QUEUED", "LOST")


def test_a_node_that_leaves_is_gone_and_gets_nothing(cluster: Cluster) -> None:
    node = cluster.a_node()
    registration.leave(cluster.rt, node.node_id, node.epoch)
    cluster.a_job()
    assert cluster.tick() == 0
    assert cluster.value("SELECT state FROM nodes") == "GONE"
    with pytest.raises(NodeReplaced):
        cluster.beat(node)


def test_placements_nobody_claims_are_withdrawn_uncharged_and_held_in_the_end(database_url: str) -> None:
    cluster = Cluster(database_url, claim_deadline_s=0.000001, max_withdrawals=2)
    cluster.a_node()
    job_id = cluster.a_job()
    for _ in range(2):
        assert cluster.tick() == 1
        assert withdrawal.withdraw_late(cluster.rt) == 1
    job = cluster.job(job_id)
    assert (job.status, job.num_exes, job.is_held) == ("QUEUED", 0, True)
    assert cluster.value("SELECT actor FROM events WHERE event = 'HOLD'") == "scheduler"
    assert cluster.tick() == 0
    cluster.close()


def test_placements_that_end_with_their_node_or_before_a_claim_count_against_no_job(database_url: str) -> None:
    cluster = Cluster(database_url, claim_deadline_s=0.000001, max_withdrawals=2, retry_first_s=0)
    node = cluster.a_node("alpha")
    job_id = cluster.a_job(max_tries=9)
    for boot in range(3):
        cluster.tick()
        node = cluster.a_node("alpha", boot_id=f"boot-{boot + 2}")
    assert not cluster.job(job_id).is_held, "its nodes are to blame"
    cluster.tick()
    cluster.claim(node, cluster.execution_of(job_id))
    cluster.report(node, cluster.execution_of(job_id), "returned")
    cluster.tick()
    assert withdrawal.withdraw_late(cluster.rt) == 1
    assert not cluster.job(job_id).is_held, "it was claimed a moment ago"
    cluster.close()


def test_a_job_that_waits_for_its_time_is_queued_when_it_comes(cluster: Cluster) -> None:
    job_id = cluster.a_job("PENDING")
    later = cluster.a_job("PENDING")
    cluster.change("UPDATE jobs SET not_before = now() - interval '1 s' WHERE id = :id", id=job_id)
    cluster.change("UPDATE jobs SET not_before = now() + interval '1 h' WHERE id = :id", id=later)
    assert maintenance.ready_due(cluster.rt) == 1
    assert (cluster.job(job_id).status, cluster.job(later).status) == ("QUEUED", "PENDING")


def test_output_is_kept_once_however_often_it_is_sent(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, (execution_id, attempt) = cluster.running(node)
    chunk = {
        "execution_id": execution_id,
        "attempt": attempt,
        "phase": "job",
        "stream": "stdout",
        "offset": 0,
        "at": 1.0,
        "data": "aGVsbG8=",
        "token": TOKEN,
    }
    for _ in range(2):
        node_protocol.store_output(
            cluster.rt, wire.OutputChunks(node_id=node.node_id, chunks=[wire.OutputChunk.model_validate(chunk)])
        )
    assert [bytes(row.data) for row in cluster.query("SELECT data FROM output_chunks")] == [b"hello"]


def test_a_node_that_cannot_launch_is_avoided_and_tried_again_later(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job(max_tries=10)
    for _ in range(3):
        assert cluster.tick() == 1
        ref = cluster.execution_of(job_id)
        cluster.claim(node, ref)
        cluster.report(node, ref, "failed", error="launch")
    assert cluster.tick() == 0
    assert maintenance.forgive_nodes(cluster.rt) == 0
    cluster.change("UPDATE nodes SET launch_failed_at = now() - interval '2 minutes'")
    assert maintenance.forgive_nodes(cluster.rt) == 1
    assert cluster.tick() == 1
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref)
    assert cluster.value("SELECT launch_failures FROM nodes") == 0


def test_a_held_job_waits_until_it_is_released(cluster: Cluster) -> None:
    cluster.a_node()
    job_id = cluster.a_job()
    cluster.tick()
    held = cluster.a_job()
    for flag, placed in ((True, 0), (False, 1)):
        with cluster.rt.db.begin() as tx:
            assert jobs.hold(tx, [held], held=flag, reason="wait") == [held]
        assert cluster.tick() == placed
    assert job_id != held


def test_the_picture_forgets_what_was_cancelled_or_placed_by_another(cluster: Cluster) -> None:
    gone, placed, waits = cluster.a_job(), cluster.a_job(), cluster.a_job(cpus=100_000)
    mine = type(cluster.state)(cluster.settings)
    with cluster.rt.db.begin() as tx:
        mine.refresh(tx)
    assert len(mine.queue) == 3
    cancel.cancel(cluster.rt, [gone], actor="me")
    cluster.a_node()
    cluster.tick()
    with cluster.rt.db.begin() as tx:
        mine.refresh(tx)
    assert [job in mine.queue for job in (gone, placed, waits)] == [False, False, True]
    assert len(mine.running) == 1


def test_a_more_urgent_job_takes_the_room_of_a_preemptible_one_which_comes_back_uncharged(database_url: str) -> None:
    cluster = Cluster(database_url, preemption=True)
    node = cluster.a_node("alpha", cpus=1000)
    low, ref = cluster.running(node, preemptible=True)
    urgent = cluster.a_job(priority=1)
    assert cluster.tick() == 0
    assert [(c.execution_id, c.reason) for c in cluster.beat(node).cancels] == [(ref[0], "preempted")]
    cluster.report(node, ref, "returned", message="preempted")
    assert cluster.tick() == 1
    assert (cluster.job(urgent).status, cluster.job(low).status) == ("RUNNING", "QUEUED")
    assert (cluster.job(low).num_exes, cluster.job(low).forgiven) == (1, 1)
    cluster.close()
