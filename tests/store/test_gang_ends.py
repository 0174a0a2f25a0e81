"""Gangs that lose a node, are not claimed, are drained, preempted, cancelled or requeued; and what they cost the others."""

from __future__ import annotations

from sqlalchemy import event

from scheduler.cluster_state import ClusterState
from scheduler.executions import withdrawal
from scheduler.identifiers import Epoch
from scheduler.jobs import cancel, requeue
from scheduler.leader import invariants
from scheduler.nodes import drain, registration
from tests.support.cluster import Cluster
from tests.support.gang import Gang
from tests.support.rows import Rows

# --- nodes go


def test_the_loss_of_one_node_in_the_middle_stops_the_rest_and_costs_one_try(gang: Gang) -> None:
    gang.start()
    row = gang.rows[1]
    gang.cluster.a_node(row.node, cpus=1000, boot_id="boot-2")
    assert gang.statuses() == ["RUNNING", "LOST", "RUNNING"]
    assert gang.asked() == ["gang", None, "gang"]
    assert f"node:{gang.rows[0].node}" in gang.cluster.nudges
    gang.sound()
    gang.report(0, "returned")
    gang.report(2, "returned")
    job = gang.job
    assert (job.status, job.num_exes, job.forgiven, list(job.avoid_nodes)) == ("QUEUED", 1, 0, [row.node_id])
    gang.sound()


def test_the_loss_of_a_node_with_claimed_and_unclaimed_members_is_a_try(cluster: Cluster) -> None:
    node = cluster.a_node("only", cpus=3000)
    job_id = cluster.a_job(members=3)
    cluster.tick()
    row = cluster.members_of(job_id)[2]
    cluster.claim(node, (row.id, row.attempt))
    cluster.a_node("only", cpus=3000, boot_id="boot-2")
    job = cluster.job(job_id)
    assert (job.status, job.num_exes, job.forgiven) == ("QUEUED", 1, 0)
    assert [row.status for row in cluster.members_of(job_id)] == ["WITHDRAWN", "WITHDRAWN", "LOST"]
    assert invariants.check(cluster.rt, hours=None) == []


def test_both_nodes_may_be_lost_one_after_the_other(gang: Gang) -> None:
    gang.start()
    for row in gang.rows:
        registration.leave(gang.cluster.rt, row.node_id, Epoch(1))
        gang.sound()
    assert gang.statuses() == ["LOST"] * 3
    assert (gang.job.status, gang.job.num_exes) == ("QUEUED", 1)


def test_a_gang_that_nobody_claims_goes_back_uncharged(cluster: Cluster) -> None:
    cluster.rt.settings.__dict__["claim_deadline_s"] = 0.000001
    gang = Gang(cluster)
    gang.place()
    assert withdrawal.withdraw_late(cluster.rt) == 3
    job = gang.job
    assert (job.status, job.num_exes, job.withdrawals) == ("QUEUED", 0, 1)
    assert gang.statuses() == ["WITHDRAWN"] * 3
    gang.sound()


def test_a_gang_of_which_one_member_is_not_claimed_is_stopped_and_forgiven(cluster: Cluster) -> None:
    cluster.rt.settings.__dict__["claim_deadline_s"] = 0.000001
    gang = Gang(cluster)
    gang.place()
    gang.claim(0, 2)
    assert withdrawal.withdraw_late(cluster.rt) == 1
    assert gang.statuses() == ["RUNNING", "WITHDRAWN", "RUNNING"]
    assert gang.asked() == ["gang", None, "gang"]
    gang.report(0, "returned")
    gang.report(2, "returned")
    job = gang.job
    assert (job.status, job.num_exes, job.forgiven, job.withdrawals) == ("QUEUED", 1, 1, 1)
    gang.sound()


def test_a_gang_of_which_one_member_is_never_claimed_is_held_in_the_end(cluster: Cluster) -> None:
    cluster.rt.settings.__dict__.update(claim_deadline_s=0.000001, max_withdrawals=3)
    gang = Gang(cluster)
    for _ in range(3):
        assert not gang.job.is_held
        cluster.change("UPDATE nodes SET launch_failures = 0")
        gang.place()
        gang.claim(0, 2)
        withdrawal.withdraw_late(cluster.rt)
        gang.report(0, "returned")
        gang.report(2, "returned")
        gang.sound()
    assert gang.job.is_held
    assert (gang.job.num_exes, gang.job.forgiven) == (3, 3)


def test_draining_a_node_before_the_claim_withdraws_the_whole_attempt(gang: Gang) -> None:
    gang.place()
    drained = drain.drain(gang.cluster.rt, gang.rows[1].node_id, actor="me", reason="test")
    assert drained.withdrawn == 1
    assert gang.statuses() == ["WITHDRAWN"] * 3
    assert (gang.job.status, gang.job.withdrawals, gang.job.num_exes) == ("QUEUED", 0, 0)
    gang.sound()


def test_draining_a_node_before_its_claim_stops_the_members_that_run_elsewhere(gang: Gang) -> None:
    gang.place()
    gang.claim(0)
    drain.drain(gang.cluster.rt, gang.rows[1].node_id, actor="me", reason="test")
    assert gang.statuses() == ["RUNNING", "WITHDRAWN", "WITHDRAWN"]
    gang.report(0, "returned")
    assert (gang.job.status, gang.job.num_exes, gang.job.forgiven, gang.job.withdrawals) == ("QUEUED", 1, 1, 0)
    gang.sound()


def test_a_drained_node_whose_time_is_over_gives_the_whole_gang_back(gang: Gang) -> None:
    gang.start()
    drain.drain(gang.cluster.rt, gang.rows[0].node_id, actor="me", reason="test", within_s=0)
    assert drain.stop_overdue(gang.cluster.rt) == 1
    assert gang.asked() == ["preempted"] * 3
    for member in range(3):
        gang.report(member, "returned")
    assert (gang.job.status, gang.job.forgiven) == ("QUEUED", 1)
    gang.sound()


def test_a_more_urgent_gang_takes_the_room_of_a_whole_one(cluster: Cluster) -> None:
    cluster.state = ClusterState(cluster.rt.settings.model_copy(update={"preemption": True}))
    gang = Gang(cluster, preemptible=True, priority=200)
    gang.start()
    urgent = cluster.a_job(members=3, priority=1)
    cluster.tick()
    assert gang.asked() == ["preempted"] * 3
    for member in range(3):
        gang.report(member, "returned")
        gang.sound()
    cluster.tick()
    assert len(cluster.members_of(urgent)) == 3
    assert (gang.job.status, gang.job.forgiven) == ("QUEUED", 1)


# --- people


def test_a_cancel_before_placement_leaves_nothing_to_place(gang: Gang) -> None:
    cancel.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    assert gang.cluster.tick() == 0
    assert gang.rows == []


def test_a_cancel_between_the_claims_drops_who_waits_and_stops_who_runs(gang: Gang) -> None:
    gang.place()
    gang.claim(0)
    late = gang.rows[2]
    cancel.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    assert gang.statuses() == ["RUNNING", "CANCELED", "CANCELED"]
    assert gang.asked() == ["canceled", None, None]
    assert gang.cluster.claim(gang.nodes[late.node], (late.id, late.attempt)).refused
    gang.report(0, "canceled")
    assert (gang.job.status, gang.statuses()) == ("CANCELED", ["CANCELED"] * 3)
    gang.sound()


def test_a_cancel_of_a_running_gang_stops_every_member(gang: Gang) -> None:
    gang.start()
    gang.report(0)
    cancel.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    assert gang.asked() == [None, "canceled", "canceled"]
    gang.report(1, "canceled")
    gang.report(2)  # it was done before it heard
    assert (gang.job.status, gang.statuses()) == ("CANCELED", ["COMPLETED", "CANCELED", "COMPLETED"])
    gang.sound()


def test_a_cancel_while_the_gang_is_being_stopped_is_the_end(gang: Gang) -> None:
    gang.start()
    gang.report(0, "failed", error="timeout")
    cancel.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    gang.report(1, "returned")
    gang.report(2, "returned")
    assert gang.job.status == "CANCELED"
    assert gang.cluster.tick() == 0
    gang.sound()


def test_a_requeued_gang_waits_until_the_last_member_of_its_old_attempt_is_gone(gang: Gang) -> None:
    for n in range(3):
        gang.nodes[f"h{n}"] = gang.cluster.a_node(f"h{n}", cpus=1000)
    gang.start()
    old = gang.rows
    cancel.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    requeue.requeue(gang.cluster.rt, [gang.job_id], actor="me")
    for row in old:
        assert gang.cluster.tick() == 0
        gang.sound()
        gang.cluster.report(gang.nodes[row.node], (row.id, row.attempt), "canceled")
    gang.place()
    assert {row.attempt for row in gang.rows} == {2}
    assert (gang.job.status, gang.job.round) == ("RUNNING", 2)
    gang.sound()


def test_a_late_word_of_an_old_attempt_changes_nothing_in_the_new_one(gang: Gang) -> None:
    gang.start()
    old = gang.rows[1]
    gang.cluster.a_node(old.node, cpus=1000, boot_id="boot-2")
    gang.report(0, "returned")
    gang.report(2, "returned")
    gang.nodes[old.node] = gang.cluster.a_node(old.node, cpus=1000, boot_id="boot-2")
    gang.start()
    answer = gang.cluster.report(gang.nodes[old.node], (old.id, old.attempt), "failed", error="timeout")
    assert answer.fenced
    assert (gang.statuses(), gang.asked()) == (["RUNNING"] * 3, [None] * 3)
    gang.sound()


def test_a_pool_grows_by_as_many_nodes_as_a_gang_needs_at_once(cluster: Cluster) -> None:
    rows = Rows(cluster)
    rows.pool(sizing="auto", largest=5)
    job_id = cluster.a_job(members=3, cpus=2000)
    rows.step(40)
    assert cluster.job(job_id).status == "COMPLETED"
    assert len({row.node for row in cluster.members_of(job_id)}) == 3


# --- what it costs the others


def test_a_job_of_one_costs_no_statement_for_the_sake_of_gangs(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job()
    cluster.tick()
    ref = cluster.execution_of(job_id)
    seen: list[str] = []
    event.listen(cluster.rt.db, "before_cursor_execute", lambda *said: seen.append(said[2]))
    cluster.claim(node, ref)
    cluster.report(node, ref, "failed", error="timeout")
    assert not [one for one in seen if "unnest(CAST(%(jobs)s" in one]
    claims, reports = 4, 8
    assert len(seen) == claims + reports, "\n---\n".join(seen)
