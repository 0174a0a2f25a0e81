"""Gangs: placed wholly or not at all, one try for all members, and never half of one left to run."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from scheduler import cancellation, draining, execution, invariants, registration, requeue, tick, upkeep, wire
from scheduler.picture import Picture
from scheduler.rules.placement import place
from scheduler.store import plans
from tests.support.cluster import TOKEN, Cluster


class Gang:
    """A job of several members on nodes of one seat each."""

    def __init__(self, cluster: Cluster, members: int = 3, **job: Any) -> None:
        self.cluster, self.count = cluster, members
        self.nodes = {f"g{n}": cluster.a_node(f"g{n}", cpus=1000) for n in range(members)}
        self.job_id = cluster.a_job(members=members, **job)

    @property
    def rows(self) -> list[Any]:
        return self.cluster.members_of(self.job_id)

    @property
    def job(self) -> Any:
        return self.cluster.job(self.job_id)

    def place(self) -> None:
        assert self.cluster.tick() == 1

    def claim(self, *members: int) -> wire.ClaimAnswer:
        for row in (self.rows[n] for n in members):
            answer = self.cluster.claim(self.nodes[row.node], (row.id, row.attempt))
        return answer

    def report(self, member: int, outcome: str = "completed", **facts: Any) -> wire.ReportAnswer:
        row = self.rows[member]
        return self.cluster.report(self.nodes[row.node], (row.id, row.attempt), outcome, **facts)

    def start(self) -> None:
        self.place()
        self.claim(*range(self.count))

    def statuses(self) -> list[str]:
        return [row.status for row in self.rows]

    def asked(self) -> list[str | None]:
        return [row.cancel_requested for row in self.rows]

    def sound(self) -> None:
        assert invariants.check(self.cluster.rt, hours=None) == []


@pytest.fixture
def gang(cluster: Cluster) -> Gang:
    return Gang(cluster)


# --- placement


def test_a_gang_is_placed_when_all_its_members_find_room_and_is_one_attempt(gang: Gang) -> None:
    gang.place()
    assert gang.statuses() == ["QUEUED"] * 3
    assert [row.member for row in gang.rows] == [0, 1, 2]
    assert {row.attempt for row in gang.rows} == {1}
    assert sorted(row.node for row in gang.rows) == ["g0", "g1", "g2"]
    assert (gang.job.status, gang.job.attempt, gang.job.node_id) == ("RUNNING", 1, gang.rows[0].node_id)
    assert len(gang.cluster.delivered) == 3
    gang.sound()


def test_a_gang_for_which_one_place_is_missing_is_not_placed_at_all(cluster: Cluster) -> None:
    cluster.a_node(cpus=2000)
    job_id = cluster.a_job(members=3)
    assert cluster.tick() == 0
    assert cluster.members_of(job_id) == []
    cluster.a_node(cpus=1000)
    assert cluster.tick() == 1
    assert len(cluster.members_of(job_id)) == 3


def test_members_may_share_a_node(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=4000)
    job_id = cluster.a_job(members=3)
    cluster.tick()
    refs = [(row.id, row.attempt) for row in cluster.members_of(job_id)]
    assert len(cluster.claim(node, *refs).granted) == 3
    assert cluster.job(job_id).num_exes == 1
    for ref in refs:
        cluster.report(node, ref)
    assert cluster.job(job_id).status == "COMPLETED"


def test_a_node_that_is_lost_between_plan_and_commit_undoes_that_gang_alone(cluster: Cluster) -> None:
    nodes = [cluster.a_node(cpus=1000) for _ in range(4)]
    torn, single = cluster.a_job(members=3, priority=1), cluster.a_job(priority=2)
    with cluster.rt.db.begin() as tx:
        cluster.picture.refresh(tx)
    plan = place(cluster.picture.snapshot(), cluster.picture.now, lambda: 0.0)
    assert len(plan.placements) == 4
    shapes = {p.shape_id: cluster.picture.queue.lines[p.shape_id].shape for p in plan.placements}
    middle = next(p.node_id for p in plan.placements if p.job_id == torn and p.member == 1)
    cluster.change("UPDATE nodes SET is_paused = true WHERE id = :id", id=middle)
    with cluster.rt.db.begin() as tx:
        placed = plans.commit(tx, plan.placements, shapes, lease_s=90.0)
    assert [p.job_id for p in placed] == [single]
    assert (cluster.job(torn).status, cluster.members_of(torn)) == ("QUEUED", [])
    assert len(nodes) == 4


def test_the_room_of_a_gang_that_could_not_be_committed_is_there_for_the_next_in_the_plan(cluster: Cluster) -> None:
    first, second = cluster.a_node(cpus=1000), cluster.a_node(cpus=1000)
    torn, next_one = cluster.a_job(members=2, priority=1), cluster.a_job(priority=2)
    with cluster.rt.db.begin() as tx:
        cluster.picture.refresh(tx)
    plan = place(cluster.picture.snapshot(), cluster.picture.now, lambda: 0.0)
    shapes = {line.shape.id: line.shape for line in cluster.picture.queue.lines.values()}
    cluster.change("UPDATE nodes SET is_paused = true WHERE id = :id", id=second.node_id)
    shape_id = cluster.job(next_one).shape_id
    behind = plan.placements[0]._replace(job_id=next_one, shape_id=shape_id, node_id=first.node_id, member=0)
    with cluster.rt.db.begin() as tx:
        placed = plans.commit(tx, [*plan.placements, behind], shapes, lease_s=90.0)
    assert [p.job_id for p in placed] == [next_one]
    assert cluster.job(torn).status == "QUEUED"


def test_schedulers_that_commit_at_once_place_each_gang_wholly_or_not_at_all(cluster: Cluster) -> None:
    for _ in range(6):
        cluster.a_node(cpus=2000)
    jobs = [cluster.a_job(members=3) for _ in range(8)]
    start = threading.Barrier(4)
    troubles: list[BaseException] = []

    def schedule() -> None:
        picture = Picture(cluster.rt.settings)
        start.wait()
        try:
            for _ in range(3):
                tick.tick(cluster.rt, picture, cluster.term, lambda _: None)
        except BaseException as trouble:  # noqa: BLE001 - told by the test
            troubles.append(trouble)

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert troubles == []
    sizes = [len(cluster.members_of(job_id)) for job_id in jobs]
    assert sorted(sizes) == [0] * 4 + [3] * 4
    assert invariants.check(cluster.rt, hours=None) == []


# --- running


def test_the_try_is_charged_once_with_the_first_claim(gang: Gang) -> None:
    gang.place()
    assert gang.job.num_exes == 0
    for member in range(3):
        gang.claim(member)
        assert gang.job.num_exes == 1
    gang.claim(0)  # repeated
    assert gang.job.num_exes == 1
    gang.sound()


def test_members_hear_who_they_are_and_where_the_others_are(gang: Gang) -> None:
    gang.place()
    spec = gang.claim(1).granted[0]
    assert spec.environment["GANGER_MEMBER"] == "1"
    assert spec.environment["GANGER_MEMBERS"] == "3"
    assert spec.environment["GANGER_GANG_NODES"] == ",".join(row.node for row in gang.rows)


def test_a_job_of_one_hears_of_no_gang(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job()
    cluster.tick()
    spec = cluster.claim(node, cluster.execution_of(job_id)).granted[0]
    assert not [name for name in spec.environment if name.startswith("GANGER_")]


def test_a_gang_has_ended_well_when_its_last_member_has(gang: Gang) -> None:
    gang.start()
    gang.report(0)
    gang.report(2)
    assert gang.job.status == "RUNNING"
    gang.sound()
    gang.report(1)
    assert (gang.job.status, gang.job.result_attempt) == ("COMPLETED", 1)
    gang.sound()


def test_the_results_of_a_gang_are_those_of_its_member_0(gang: Gang) -> None:
    gang.start()
    gang.report(0, properties={"from": 0})
    gang.report(1, properties={"from": 1})
    assert gang.cluster.value("SELECT results FROM job_specs WHERE job_id = :id", id=gang.job_id) is None
    gang.report(2, properties={"from": 2})
    found = gang.cluster.value("SELECT results FROM job_specs WHERE job_id = :id", id=gang.job_id)
    assert found["properties"] == {"from": 0}


def test_only_member_0_is_asked_for_outputs_and_heard_about_progress(gang: Gang) -> None:
    definition = """{"command": ["true"], "interface": {"output_data": [{"name": "table", "type": "file"}]}}"""
    gang.cluster.change("UPDATE job_type_revisions SET definition = CAST(:d AS jsonb)", d=definition)
    gang.place()
    asked = [[one.name for one in gang.claim(member).granted[0].outputs] for member in range(3)]
    assert asked == [["table"], [], []]
    for member, percent in ((1, 80), (0, 30)):
        row = gang.rows[member]
        said = [wire.Progress(execution_id=row.id, attempt=1, percent=percent)]
        gang.cluster.beat(gang.nodes[row.node], progress=said)
    row = gang.rows[1]
    gang.cluster.beat(gang.nodes[row.node], progress=[wire.Progress(execution_id=row.id, attempt=1, percent=90)])
    assert gang.job.percent == 30


# --- a member fails


def test_when_a_member_fails_the_others_are_stopped_and_the_job_waits_for_their_end(gang: Gang) -> None:
    gang.start()
    gang.cluster.nudges.clear()
    gang.report(1, "failed", error="timeout", message="too slow")
    assert gang.job.status == "RUNNING"
    assert gang.asked() == ["gang", None, "gang"]
    assert {f"node:{row.node}" for row in gang.rows if row.member != 1} <= set(gang.cluster.nudges)
    gang.sound()
    for row in (gang.rows[0], gang.rows[2]):
        assert [c.reason for c in gang.cluster.beat(gang.nodes[row.node]).cancels] == ["preempted"]
    gang.cluster.tick()
    assert gang.job.attempt == 1
    gang.report(0, "returned")
    assert gang.job.status == "RUNNING"
    gang.sound()
    gang.report(2, "failed", error="signaled")  # it died of its own; that is not what broke the gang
    assert gang.job.status == "QUEUED"
    events = gang.cluster.query("SELECT event, reason FROM events WHERE job_id = :id ORDER BY id", id=gang.job_id)
    assert tuple(events[-1]) == ("RETRY", "timeout: member 1 of 3: too slow")
    gang.sound()
    gang.start()
    assert {row.attempt for row in gang.rows} == {2}
    assert gang.job.num_exes == 2


def test_the_last_failed_try_fails_the_gang_with_the_error_of_the_member_that_broke_it(cluster: Cluster) -> None:
    gang = Gang(cluster, max_tries=1)
    gang.start()
    gang.report(0)
    gang.report(2, "failed", error="disk-full")
    gang.report(1, "returned")
    assert (gang.job.status, gang.job.error) == ("FAILED", "disk-full")
    assert gang.statuses() == ["COMPLETED", "CANCELED", "FAILED"]
    gang.sound()


def test_members_that_were_not_claimed_yet_are_taken_back_when_another_fails(gang: Gang) -> None:
    gang.place()
    gang.claim(0)
    late = gang.rows[1]
    gang.report(0, "failed", error="launch")
    assert gang.statuses() == ["FAILED", "WITHDRAWN", "WITHDRAWN"]
    assert (gang.job.status, gang.job.num_exes, gang.job.forgiven) == ("QUEUED", 1, 0)
    assert gang.cluster.claim(gang.nodes[late.node], (late.id, late.attempt)).refused
    gang.sound()


def test_members_that_fail_in_one_report_are_one_failed_try(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=3000)
    job_id = cluster.a_job(members=3)
    cluster.tick()
    rows = cluster.members_of(job_id)
    cluster.claim(node, *[(row.id, row.attempt) for row in rows])
    reports = [
        wire.ReportOne(execution_id=row.id, attempt=1, token=TOKEN, outcome="failed", error="timeout") for row in rows
    ]
    answer = execution.report(cluster.rt, wire.Reports(node_id=node.node_id, reports=reports))
    assert len(answer.accepted) == 3
    assert (cluster.job(job_id).status, cluster.job(job_id).num_exes) == ("QUEUED", 1)
    retries = cluster.value("SELECT count(*) FROM events WHERE job_id = :id AND event = 'RETRY'", id=job_id)
    assert retries == 1
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_member_that_ends_well_while_it_is_being_stopped_does_not_save_the_attempt(gang: Gang) -> None:
    gang.start()
    gang.report(1, "failed", error="timeout")
    gang.report(0)
    gang.report(2)
    assert gang.job.status == "QUEUED"
    assert gang.statuses() == ["COMPLETED", "FAILED", "COMPLETED"]
    gang.sound()


def test_a_gang_out_of_memory_asks_for_more_for_each_member(gang: Gang) -> None:
    wish = """{"on_oom": {"mem_factor": 2000, "mem_max": null}}"""
    gang.cluster.change("UPDATE job_specs SET overrides = CAST(:wish AS jsonb)", wish=wish)
    gang.cluster.change("UPDATE shapes SET mem = 100000")
    gang.start()
    gang.report(2, "failed", error="out-of-memory")
    gang.report(0, "returned")
    gang.report(1, "returned")
    gang.start()
    assert [row.mem for row in gang.rows] == [200_000] * 3


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
        registration.leave(gang.cluster.rt, row.node_id, 1)
        gang.sound()
    assert gang.statuses() == ["LOST"] * 3
    assert (gang.job.status, gang.job.num_exes) == ("QUEUED", 1)


def test_a_gang_that_nobody_claims_goes_back_uncharged(cluster: Cluster) -> None:
    cluster.rt.settings.__dict__["claim_deadline_s"] = 0.000001
    gang = Gang(cluster)
    gang.place()
    assert upkeep.withdraw_late(cluster.rt) == 3
    job = gang.job
    assert (job.status, job.num_exes, job.withdrawals) == ("QUEUED", 0, 1)
    assert gang.statuses() == ["WITHDRAWN"] * 3
    gang.sound()


def test_a_gang_of_which_one_member_is_not_claimed_is_stopped_and_forgiven(cluster: Cluster) -> None:
    cluster.rt.settings.__dict__["claim_deadline_s"] = 0.000001
    gang = Gang(cluster)
    gang.place()
    gang.claim(0, 2)
    assert upkeep.withdraw_late(cluster.rt) == 1
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
        upkeep.withdraw_late(cluster.rt)
        gang.report(0, "returned")
        gang.report(2, "returned")
        gang.sound()
    assert gang.job.is_held
    assert (gang.job.num_exes, gang.job.forgiven) == (3, 3)


def test_draining_a_node_before_the_claim_withdraws_the_whole_attempt(gang: Gang) -> None:
    gang.place()
    drained = draining.drain(gang.cluster.rt, gang.rows[1].node_id, actor="me", reason="test")
    assert drained.withdrawn == 1
    assert gang.statuses() == ["WITHDRAWN"] * 3
    assert (gang.job.status, gang.job.withdrawals, gang.job.num_exes) == ("QUEUED", 0, 0)
    gang.sound()


def test_draining_a_node_before_its_claim_stops_the_members_that_run_elsewhere(gang: Gang) -> None:
    gang.place()
    gang.claim(0)
    draining.drain(gang.cluster.rt, gang.rows[1].node_id, actor="me", reason="test")
    assert gang.statuses() == ["RUNNING", "WITHDRAWN", "WITHDRAWN"]
    gang.report(0, "returned")
    assert (gang.job.status, gang.job.num_exes, gang.job.forgiven, gang.job.withdrawals) == ("QUEUED", 1, 1, 0)
    gang.sound()


def test_a_drained_node_whose_time_is_over_gives_the_whole_gang_back(gang: Gang) -> None:
    gang.start()
    draining.drain(gang.cluster.rt, gang.rows[0].node_id, actor="me", reason="test", within_s=0)
    assert draining.stop_overdue(gang.cluster.rt) == 1
    assert gang.asked() == ["preempted"] * 3
    for member in range(3):
        gang.report(member, "returned")
    assert (gang.job.status, gang.job.forgiven) == ("QUEUED", 1)
    gang.sound()


def test_a_more_urgent_gang_takes_the_room_of_a_whole_one(cluster: Cluster) -> None:
    cluster.picture = Picture(cluster.rt.settings.model_copy(update={"preemption": True}))
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
    cancellation.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    assert gang.cluster.tick() == 0
    assert gang.rows == []


def test_a_cancel_between_the_claims_drops_who_waits_and_stops_who_runs(gang: Gang) -> None:
    gang.place()
    gang.claim(0)
    late = gang.rows[2]
    cancellation.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    assert gang.statuses() == ["RUNNING", "CANCELED", "CANCELED"]
    assert gang.asked() == ["canceled", None, None]
    assert gang.cluster.claim(gang.nodes[late.node], (late.id, late.attempt)).refused
    gang.report(0, "canceled")
    assert (gang.job.status, gang.statuses()) == ("CANCELED", ["CANCELED"] * 3)
    gang.sound()


def test_a_cancel_of_a_running_gang_stops_every_member(gang: Gang) -> None:
    gang.start()
    gang.report(0)
    cancellation.cancel(gang.cluster.rt, [gang.job_id], actor="me")
    assert gang.asked() == [None, "canceled", "canceled"]
    gang.report(1, "canceled")
    gang.report(2)  # it was done before it heard
    assert (gang.job.status, gang.statuses()) == ("CANCELED", ["COMPLETED", "CANCELED", "COMPLETED"])
    gang.sound()


def test_a_cancel_while_the_gang_is_being_stopped_is_the_end(gang: Gang) -> None:
    gang.start()
    gang.report(0, "failed", error="timeout")
    cancellation.cancel(gang.cluster.rt, [gang.job_id], actor="me")
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
    cancellation.cancel(gang.cluster.rt, [gang.job_id], actor="me")
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


# --- what it costs the others


def test_a_job_of_one_costs_no_statement_more_than_it_did(cluster: Cluster) -> None:
    from sqlalchemy import event  # noqa: PLC0415 - only this test listens

    node = cluster.a_node()
    job_id = cluster.a_job()
    cluster.tick()
    ref = cluster.execution_of(job_id)
    seen: list[str] = []
    event.listen(cluster.rt.db, "before_cursor_execute", lambda *said: seen.append(said[2]))
    cluster.claim(node, ref)
    cluster.report(node, ref, "failed", error="timeout")
    assert not [one for one in seen if "unnest(CAST(%(jobs)s" in one]
    claims, reports = 7, 8
    assert len(seen) <= claims + reports, "\n---\n".join(seen)
