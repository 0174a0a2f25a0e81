"""Run ahead: short jobs wait on a node beyond its room, are charged when they start, and go back uncharged if they never do."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from scheduler import wire
from scheduler.errors import NodeReplaced
from scheduler.executions import node_protocol
from scheduler.explain import job_explanation
from scheduler.explain.forecast import Forecaster
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import cancel, hold, requeue
from scheduler.leader import invariants
from scheduler.nodes import drain, lost
from tests.support.cluster import TOKEN, Cluster
from workers.paths import ExecutionKey


@pytest.fixture
def node(cluster: Cluster) -> wire.Registered:
    """A node of one cpu that runs ahead, in a cluster that has seen three short jobs of one cpu."""
    node = cluster.a_node("alpha", cpus=1000, runs_ahead=True)
    learn(cluster, node)
    return node


def learn(cluster: Cluster, node: wire.Registered) -> None:
    for _ in range(3):
        _, ref = cluster.running(node)
        cluster.report(node, ref)
    cluster.tick()


def exchange(cluster: Cluster, node: wire.Registered, **said: Any) -> wire.ExchangeAnswer:
    message = {"node_id": node.node_id, "epoch": node.epoch, "now": 100.0, **said}
    return node_protocol.exchange(cluster.rt, wire.NodeExchange.model_validate(message))


def claims(*refs: ExecutionKey) -> list[dict[str, Any]]:
    return [{"execution_id": e, "attempt": a, "token": TOKEN} for e, a in refs]


def starts(*refs: ExecutionKey) -> list[dict[str, Any]]:
    return [{**one, "at": 99.5} for one in claims(*refs)]


def ends(*refs: ExecutionKey, outcome: str = "completed", **facts: Any) -> list[dict[str, Any]]:
    return [{**one, "outcome": outcome, **facts} for one in claims(*refs)]


def jobs_on(cluster: Cluster, node: wire.Registered, count: int = 3) -> list[tuple[JobId, ExecutionKey]]:
    """One running job and others ahead of room, all claimed: (job, execution), the running one first."""
    made = [cluster.a_job() for _ in range(count)]
    cluster.tick()
    found = [(job_id, cluster.execution_of(job_id)) for job_id in made]
    first = [ref for _, ref in found if not cluster.execution(ref[0]).is_ahead]
    assert len(first) == 1
    exchange(cluster, node, claims=claims(*first))
    answer = exchange(cluster, node, claims=claims(*[ref for _, ref in found if ref not in first]))
    assert [spec.ahead for spec in answer.granted] == [True] * (count - 1)
    return sorted(found, key=lambda one: one[1] not in first)


def lose(cluster: Cluster) -> None:
    """Let all nodes be silent for too long."""
    watch, clock = lost.SilentNodes(), [0.0]
    for _ in range(14):
        lost.declare_lost(cluster.rt, watch, lambda: clock[0])
        clock[0] += 8.0


def statuses(cluster: Cluster, *refs: ExecutionKey) -> list[str]:
    return [cluster.execution(ref[0]).status for ref in refs]


def test_short_jobs_go_beyond_the_room_of_a_node_that_runs_ahead(cluster: Cluster, node: wire.Registered) -> None:
    made = [cluster.a_job() for _ in range(5)]
    assert cluster.tick() == 5
    rows = [cluster.execution(cluster.execution_of(job_id)[0]) for job_id in made]
    assert sorted(row.is_ahead for row in rows) == [False, True, True, True, True]
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_shape_without_history_does_not(cluster: Cluster, node: wire.Registered) -> None:
    made = [cluster.a_job(mem=5) for _ in range(3)]
    assert cluster.tick() == 1
    assert [cluster.job(job_id).status for job_id in made].count("QUEUED") == 2


def test_one_long_run_makes_a_shape_uncertain(cluster: Cluster, node: wire.Registered) -> None:
    _, ref = cluster.running(node)
    cluster.change(
        "UPDATE executions SET started = now() - interval '5 s', created = now() - interval '6 s' WHERE id = :id",
        id=ref[0],
    )
    cluster.report(node, ref)
    for _ in range(3):
        cluster.a_job()
    assert cluster.tick() == 1


def test_a_node_of_the_release_before_gets_nothing_ahead(cluster: Cluster) -> None:
    node = cluster.a_node("alpha", cpus=1000)
    learn(cluster, node)
    for _ in range(3):
        cluster.a_job()
    assert cluster.tick() == 1


def test_a_try_is_charged_when_it_starts_and_not_when_it_is_handed_out(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (job_id, second), _ = jobs_on(cluster, node)
    assert (cluster.job(job_id).num_exes, cluster.execution(second[0]).status) == (0, "AHEAD")
    answer = exchange(cluster, node, reports=ends(first), starts=starts(second))
    assert answer.overdrawn == []
    assert (cluster.job(job_id).num_exes, cluster.execution(second[0]).status) == (1, "RUNNING")
    exchange(cluster, node, starts=starts(second))  # a repeat
    assert cluster.job(job_id).num_exes == 1
    assert invariants.check(cluster.rt, hours=None) == []


def test_start_and_end_in_one_message_keep_their_times(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (job_id, second), (_, third) = jobs_on(cluster, node)
    cluster.change("UPDATE executions SET created = created - interval '1 min'")
    said = [*ends(first), *ends(second, started=99.0, ended=99.75), *ends(third, started=99.8, ended=99.9)]
    answer = exchange(cluster, node, reports=said)
    assert len(answer.accepted) == 3
    row = cluster.execution(second[0])
    assert (row.status, round((row.ended - row.started).total_seconds(), 3)) == ("COMPLETED", 0.75)
    assert (cluster.job(job_id).status, cluster.job(job_id).num_exes) == ("COMPLETED", 1)
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_failure_that_is_told_with_its_start_counts_as_a_try(cluster: Cluster, node: wire.Registered) -> None:
    cluster.change("UPDATE jobs SET max_tries = 1")
    made = [cluster.a_job(max_tries=1) for _ in range(2)]
    cluster.tick()
    with_room, ahead = sorted(
        (cluster.execution_of(job_id) for job_id in made), key=lambda ref: cluster.execution(ref[0]).is_ahead
    )
    exchange(cluster, node, claims=claims(with_room, ahead))
    exchange(cluster, node, claims=claims(ahead))
    phases = {"job": {"exit_code": 1}}
    exchange(cluster, node, reports=[*ends(with_room), *ends(ahead, outcome="failed", started=99.0, phases=phases)])
    row = cluster.job(cluster.execution(ahead[0]).job_id)
    assert (row.status, row.num_exes) == ("FAILED", 1)


def test_what_never_started_goes_back_uncharged_and_keeps_its_place(cluster: Cluster, node: wire.Registered) -> None:
    _, (job_id, second), _ = jobs_on(cluster, node)
    queued = cluster.job(job_id).queued
    exchange(cluster, node, reports=ends(second, outcome="unstarted"))
    row = cluster.job(job_id)
    assert (row.status, row.num_exes, row.forgiven, row.withdrawals, row.queued) == ("QUEUED", 0, 0, 0, queued)
    assert statuses(cluster, second) == ["WITHDRAWN"]
    assert invariants.check(cluster.rt, hours=None) == []


def test_nothing_that_has_started_can_be_said_to_have_not(cluster: Cluster, node: wire.Registered) -> None:
    (job_id, first), *_ = jobs_on(cluster, node)
    answer = exchange(cluster, node, reports=ends(first, outcome="unstarted"))
    assert [ref.execution_id for ref in answer.fenced] == [first[0]]
    assert cluster.job(job_id).status == "RUNNING"


def test_more_than_there_is_room_for_is_not_started(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (job_id, second), _ = jobs_on(cluster, node)
    answer = exchange(cluster, node, starts=starts(second))
    assert [ref.execution_id for ref in answer.overdrawn] == [second[0]]
    assert (statuses(cluster, first, second), cluster.job(job_id).num_exes) == (["RUNNING", "AHEAD"], 0)
    with pytest.raises(DBAPIError, match="no room"):
        cluster.change("UPDATE executions SET status = 'RUNNING', started = now() WHERE id = :id", id=second[0])
    exchange(cluster, node, reports=ends(second, outcome="returned", started=99.0))  # it was started all the same
    row = cluster.job(job_id)
    assert (row.status, row.num_exes, row.forgiven) == ("QUEUED", 1, 1)


def test_room_that_was_promised_comes_before_what_is_ahead(cluster: Cluster, node: wire.Registered) -> None:
    made = [cluster.a_job() for _ in range(3)]
    cluster.tick()
    refs = [cluster.execution_of(job_id) for job_id in made]
    ahead = [ref for ref in refs if cluster.execution(ref[0]).is_ahead]
    answer = exchange(cluster, node, claims=claims(*ahead))
    assert answer.granted == []
    assert {ref.execution_id for ref in answer.waiting} == {ref[0] for ref in refs}
    assert len(exchange(cluster, node, claims=claims(*refs)).granted) == 3


def test_cancel_of_what_is_ahead_is_final_at_once_and_uncharged(cluster: Cluster, node: wire.Registered) -> None:
    _, (job_id, second), _ = jobs_on(cluster, node)
    cancel.cancel(cluster.rt, [job_id], actor="me")
    assert cluster.job(job_id).status == "CANCELED"
    answer = exchange(cluster, node)
    assert [(one.execution_id, one.reason) for one in answer.cancels] == [(second[0], "canceled")]
    exchange(cluster, node, reports=ends(second, outcome="unstarted"))
    assert (cluster.job(job_id).status, cluster.job(job_id).num_exes) == ("CANCELED", 0)
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_cancel_that_comes_after_the_start_is_a_try_that_was_stopped(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (job_id, second), _ = jobs_on(cluster, node)
    cancel.cancel(cluster.rt, [job_id], actor="me")
    exchange(cluster, node, reports=ends(first), starts=starts(second))
    assert exchange(cluster, node).cancels[0].execution_id == second[0]
    exchange(cluster, node, reports=ends(second, outcome="canceled", started=99.5))
    assert (cluster.job(job_id).status, cluster.job(job_id).num_exes) == ("CANCELED", 1)
    assert invariants.check(cluster.rt, hours=None) == []


@pytest.mark.parametrize("told", ["its start", "its start and end at once", "nothing, and the node is lost"])
def test_a_start_that_is_told_after_cancel_and_requeue_takes_no_try_from_the_new_round(
    cluster: Cluster, node: wire.Registered, told: str
) -> None:
    (_, first), (job_id, second), _ = jobs_on(cluster, node)
    cancel.cancel(cluster.rt, [job_id], actor="me")
    requeue.requeue(cluster.rt, [job_id], actor="me")
    tries = cluster.job(job_id).max_tries
    if told == "its start":
        exchange(cluster, node, reports=ends(first), starts=starts(second))
    if told == "nothing, and the node is lost":
        lose(cluster)
        node = cluster.a_node("beta", cpus=1000)
    else:
        exchange(cluster, node, reports=ends(second, outcome="canceled", started=99.5))
    job = cluster.job(job_id)
    assert (job.status, job.num_exes, job.max_tries) == ("QUEUED", 1, tries + 1)
    cluster.tick()
    assert cluster.job(job_id).status == "RUNNING"
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_held_job_comes_back_from_its_node(cluster: Cluster, node: wire.Registered) -> None:
    _, (job_id, second), _ = jobs_on(cluster, node)
    hold.hold(cluster.rt, [job_id], actor="me")
    assert [(one.execution_id, one.reason) for one in exchange(cluster, node).cancels] == [(second[0], "recalled")]
    exchange(cluster, node, reports=ends(second, outcome="unstarted"))
    cluster.tick()
    assert (cluster.job(job_id).status, cluster.job(job_id).is_held) == ("QUEUED", True)


def test_what_is_recalled_too_late_goes_on(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (job_id, second), _ = jobs_on(cluster, node)
    hold.hold(cluster.rt, [job_id], actor="me")
    answer = exchange(cluster, node, reports=ends(first), starts=starts(second))
    assert answer.cancels == []
    assert (statuses(cluster, second), cluster.execution(second[0]).cancel_requested) == (["RUNNING"], None)


def test_a_more_urgent_job_without_history_gets_the_next_room(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (_, second), (_, third) = jobs_on(cluster, node)
    urgent = cluster.a_job(priority=1, mem=7)
    cluster.a_job()
    assert cluster.tick() == 0, "nobody goes ahead of it"
    told = exchange(cluster, node).cancels
    assert {(one.execution_id, one.reason) for one in told} == {(second[0], "recalled"), (third[0], "recalled")}
    exchange(cluster, node, reports=[*ends(second, third, outcome="unstarted"), *ends(first)])
    cluster.tick()
    assert cluster.job(urgent).status == "RUNNING"
    assert not cluster.execution(cluster.execution_of(urgent)[0]).is_ahead


def test_a_more_urgent_short_job_is_next_on_the_node(cluster: Cluster, node: wire.Registered) -> None:
    for _ in range(3):
        _, ref = cluster.running(node, priority=1, mem=7)
        cluster.report(node, ref)
    jobs_on(cluster, node)
    urgent = cluster.a_job(priority=1, mem=7)
    cluster.tick()
    row = cluster.execution(cluster.execution_of(urgent)[0])
    assert row.is_ahead
    spec = exchange(cluster, node, claims=claims((row.id, row.attempt))).granted[0]
    assert (spec.ahead, spec.priority) == (True, 1)


def test_a_more_urgent_short_job_does_not_wait_for_less_urgent_work_to_come_back(cluster: Cluster) -> None:
    node = cluster.a_node("alpha", cpus=1000, runs_ahead=True)
    for _ in range(3):
        _, ref = cluster.running(node)
        cluster.change(
            "UPDATE executions SET started = now() - interval '0.4 s', created = now() - interval '1 s' WHERE id = :id",
            id=ref[0],
        )
        cluster.report(node, ref)
    cluster.tick()
    made = [cluster.a_job() for _ in range(8)]
    cluster.tick()
    full = [cluster.execution(cluster.execution_of(job_id)[0]) for job_id in made if cluster.job(job_id).attempt]
    assert 2 <= len(full) < len(made)  # a second of work is all that goes ahead
    urgent = cluster.a_job(priority=1)
    cluster.tick()
    ref = cluster.execution_of(urgent)
    assert cluster.execution(ref[0]).is_ahead
    assert [cluster.execution(row.id).cancel_requested for row in full] == [None] * len(full)
    unclaimed = [(row.id, row.attempt) for row in full if not row.is_ahead]
    exchange(cluster, node, claims=claims(*unclaimed))
    (granted,) = exchange(cluster, node, claims=claims(ref)).granted
    assert granted.priority == 1  # by which the node starts it next
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_node_that_falls_idle_gets_what_waits_elsewhere(cluster: Cluster, node: wire.Registered) -> None:
    cluster.change("UPDATE executions SET started = ended - interval '400 ms', created = created - interval '1 min'")
    cluster.state = type(cluster.state)(cluster.settings)  # as a new leader learns it
    (_, _), (_, second), (job_id, third) = jobs_on(cluster, node)
    cluster.a_node("beta", cpus=1000, runs_ahead=True)
    cluster.tick()
    assert [one.execution_id for one in exchange(cluster, node).cancels] == [third[0]], "the last, and no more than fit"
    exchange(cluster, node, reports=ends(third, outcome="unstarted"))
    cluster.tick()
    assert cluster.members_of(job_id)[0].node == "beta"
    assert statuses(cluster, second) == ["AHEAD"]


@pytest.mark.parametrize(
    "pause",
    [
        "UPDATE nodes SET is_paused = true",
        "UPDATE projects SET is_paused = true",
        "UPDATE leader SET is_paused = true",
        "UPDATE job_types SET is_paused = true",
    ],
)
def test_a_pause_takes_back_what_is_ahead(cluster: Cluster, node: wire.Registered, pause: str) -> None:
    _, (_, second), (_, third) = jobs_on(cluster, node)
    cluster.change(pause)
    cluster.tick()
    assert {one.execution_id for one in exchange(cluster, node).cancels} == {second[0], third[0]}


def test_a_drain_takes_back_what_is_ahead(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (_, second), (_, third) = jobs_on(cluster, node)
    drain.drain(cluster.rt, node.node_id, actor="me", reason="test")
    assert exchange(cluster, node).drain, "the node gives back by itself"
    exchange(cluster, node, reports=ends(second, third, outcome="unstarted"))
    assert statuses(cluster, first, second, third) == ["RUNNING", "WITHDRAWN", "WITHDRAWN"]


def test_what_was_ahead_on_a_lost_node_counts_as_started(cluster: Cluster, node: wire.Registered) -> None:
    _, (job_id, second), _ = jobs_on(cluster, node)
    lose(cluster)
    assert statuses(cluster, second) == ["LOST"]
    assert (cluster.job(job_id).num_exes, cluster.job(job_id).status) == (1, "QUEUED")
    assert invariants.check(cluster.rt, hours=None) == []
    with pytest.raises(NodeReplaced):
        cluster.beat(node)


def test_the_journal_of_a_node_that_was_started_again_says_what_never_started(
    cluster: Cluster, node: wire.Registered
) -> None:
    (_, first), (job_id, second), (other, third) = jobs_on(cluster, node)
    held = [{**one, "started": one["execution_id"] != second[0]} for one in claims(first, second, third)]
    lost.declare_lost(cluster.rt, lost.SilentNodes(), lambda: 0.0)
    cluster.change("UPDATE nodes SET is_silent = true")
    answer = cluster.a_node("alpha", cpus=1000, runs_ahead=True, boot_id="boot-2", held=held)
    assert {ref.execution_id for ref in answer.kill} == {first[0], second[0], third[0]}
    assert statuses(cluster, first, second, third) == ["LOST", "WITHDRAWN", "LOST"]
    assert (cluster.job(job_id).num_exes, cluster.job(other).num_exes) == (0, 1)
    assert invariants.check(cluster.rt, hours=None) == []


def test_a_new_agent_on_the_same_boot_keeps_what_is_ahead(cluster: Cluster, node: wire.Registered) -> None:
    (_, first), (_, second), (_, third) = jobs_on(cluster, node)
    held = [{**one, "started": one["execution_id"] == first[0]} for one in claims(first, second)]
    answer = cluster.a_node("alpha", cpus=1000, runs_ahead=True, held=held)
    assert {ref.execution_id for ref in answer.keep} == {first[0], second[0]}
    assert statuses(cluster, second, third) == ["AHEAD", "LOST"], "nobody can say of the third that it never started"
    assert exchange(cluster, node, reports=ends(first), starts=starts(second)).overdrawn == []


def test_limits_count_what_is_ahead(cluster: Cluster, node: wire.Registered) -> None:
    cluster.change("UPDATE job_types SET max_scheduled = 2")
    for _ in range(5):
        cluster.a_job()
    assert cluster.tick() == 2


def test_explain_says_where_a_job_is_next_and_behind_how_many(cluster: Cluster, node: wire.Registered) -> None:
    _, (first, _), (second, _) = jobs_on(cluster, node)
    caller, forecaster = Caller(1, "admin", None), Forecaster(cluster.rt)
    said = [job_explanation.explain(cluster.rt, forecaster, caller, one)["summary"] for one in (first, second)]
    assert said == [
        "It is next on node alpha, and starts there when room frees.",
        "It is next on node alpha, behind 1 short one, and starts there when room frees.",
    ]
