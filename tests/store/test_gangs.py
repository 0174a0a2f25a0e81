"""Gangs: placed wholly or not at all, one try for all members, and never half of one left to run."""

from __future__ import annotations

import threading

from scheduler import wire
from scheduler.cluster_state import ClusterState
from scheduler.executions import node_protocol
from scheduler.identifiers import Attempt
from scheduler.leader import invariants, tick
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.rules.placement.placement import place
from scheduler.store.leader import plans
from tests.support.cluster import TOKEN, Cluster
from tests.support.gang import Gang

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
        cluster.state.refresh(tx)
    plan = place(cluster.state.snapshot(), cluster.state.now, lambda: 0.0)
    assert len(plan.placements) == 4
    shapes = {p.shape_id: cluster.state.queue.groups[p.shape_id].shape for p in plan.placements}
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
        cluster.state.refresh(tx)
    plan = place(cluster.state.snapshot(), cluster.state.now, lambda: 0.0)
    shapes = {line.shape.id: line.shape for line in cluster.state.queue.groups.values()}
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
        state = ClusterState(cluster.rt.settings)
        start.wait()
        try:
            for _ in range(3):
                tick.tick(cluster.rt, state, cluster.term, lambda _: None)
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
        said = [wire.Progress(execution_id=row.id, attempt=Attempt(1), percent=percent, token=row.claim_token)]
        gang.cluster.beat(gang.nodes[row.node], progress=said)
    row = gang.rows[1]
    gang.cluster.beat(
        gang.nodes[row.node],
        progress=[wire.Progress(execution_id=row.id, attempt=Attempt(1), percent=90, token=row.claim_token)],
    )
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
        wire.ExecutionReport(
            execution_id=row.id, attempt=Attempt(1), token=TOKEN, outcome=Outcome.FAILED, error="timeout"
        )
        for row in rows
    ]
    answer = node_protocol.report(cluster.rt, wire.ReportBatch(node_id=node.node_id, reports=reports))
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
