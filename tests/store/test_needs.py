"""Needs against the real SQL: the truth table, groups, graphs in any order, and what ends meet while needs are added."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from scheduler.identifiers import Attempt, JobId, ProjectId
from scheduler.jobs import cancel, requeue
from scheduler.leader import invariants
from scheduler.needs.ready import ready
from scheduler.resolver import resolver
from scheduler.rules.lifecycle import needs
from scheduler.rules.lifecycle.moves import JobEvent
from scheduler.rules.lifecycle.needs import NeedEffect, NeedKind, NeedVerdict, ParentState
from scheduler.store.jobs import jobs
from scheduler.store.needs import edges, verdicts
from scheduler.store.needs.edges import NeedEdge
from tests.support.cluster import Cluster
from tests.support.counted import counted
from tests.support.needs_graph import Graph, begin, random_graph, settle

AFTER = {
    NeedVerdict.SKIP: "CANCELED",
    NeedVerdict.BLOCK: "BLOCKED",
    NeedVerdict.WAIT: "PENDING",
    NeedVerdict.READY: "QUEUED",
}
STANDING: dict[ParentState, tuple[str, dict[str, Any]]] = {
    ParentState.COMPLETED: ("COMPLETED", {"num_exes": 1}),
    ParentState.FAILED: ("FAILED", {"num_exes": 1}),
    ParentState.CANCELED: ("CANCELED", {"num_exes": 1}),
    ParentState.UNSTARTED: ("CANCELED", {}),
    ParentState.SKIPPED: ("CANCELED", {"is_skipped": True}),
    ParentState.BLOCKED: ("BLOCKED", {}),
    ParentState.STARTED: ("RUNNING", {"num_exes": 1, "started": "2026-01-01"}),
    ParentState.WAITING: ("QUEUED", {}),
}


def a_parent(cluster: Cluster, state: ParentState) -> JobId:
    """Make a job that stands there; one that is blocked or skipped has a need that put it there."""
    status, columns = STANDING[state]
    if state not in {ParentState.BLOCKED, ParentState.SKIPPED}:
        return cluster.a_job(status, **columns)
    origin = cluster.a_job("FAILED" if state is ParentState.BLOCKED else "COMPLETED", num_exes=1)
    job_id = cluster.a_job(status, **columns)
    cluster.change(
        "INSERT INTO job_needs (job_id, position, needs_id, after, settled) VALUES (:id, 0, :origin, :after, :settled)",
        id=job_id, origin=origin, after="OK" if state is ParentState.BLOCKED else "FAIL",
        settled="BROKEN" if state is ParentState.BLOCKED else "UNNEEDED",
    )  # fmt: skip
    return job_id


def follower(cluster: Cluster, *edges_: NeedEdge | tuple[int, NeedKind], **columns: Any) -> JobId:
    """Make a PENDING job with these needs, as a submission would leave it."""
    job_id = cluster.a_job("PENDING", **columns)
    rows = [
        an_edge(job_id, place, one[0], one[1]) if isinstance(one, tuple) else one for place, one in enumerate(edges_)
    ]
    with cluster.rt.db.begin() as tx:
        edges.mark(tx, {row.needs_id: 2 for row in rows})
        edges.insert(tx, [NeedEdge(**{**_fields(row), "job_id": job_id, "position": n}) for n, row in enumerate(rows)])
    return job_id


def _fields(edge: NeedEdge) -> dict[str, Any]:
    return {name: getattr(edge, name) for name in NeedEdge.__slots__}


def an_edge(job_id: int, place: int, needs_id: int, kind: NeedKind, **facts: Any) -> NeedEdge:
    plain: dict[str, Any] = {
        "group_id": None,
        "any_member": False,
        "tolerate": 0,
        "allow_skipped": False,
        "wires": False,
    }
    return NeedEdge(JobId(job_id), place, JobId(needs_id), after=kind, **{**plain, **facts})


def tell(cluster: Cluster, *ids: int) -> None:
    for one in ids:
        cluster.change("INSERT INTO need_changes (job_id) VALUES (:id)", id=one)


def end(cluster: Cluster, job_id: int, status: str) -> None:
    """Let a job end by the real moves."""
    at = cluster.job(job_id)
    error = cluster.value("SELECT id FROM errors WHERE name = 'unknown'")
    with cluster.rt.db.begin() as tx:
        if status != "CANCELED" and at.status == "QUEUED":
            jobs.move(tx, JobEvent.PLACE, [jobs.JobMove(JobId(job_id), at.attempt)], "test")
            jobs.charge(tx, [JobId(job_id)])
    event = {"COMPLETED": JobEvent.COMPLETE, "FAILED": JobEvent.FAIL, "CANCELED": JobEvent.CANCEL}[status]
    with cluster.rt.db.begin() as tx:
        attempt = Attempt(cluster.job(job_id).attempt)
        assert jobs.move(tx, event, [jobs.JobMove(JobId(job_id), attempt, error_id=error)], "test")


def resolved(cluster: Cluster) -> None:
    while resolver.resolve(cluster.rt, cluster.term):
        pass
    assert [v for v in invariants.check(cluster.rt) if v.number == "I-W3"] == []


@pytest.mark.parametrize("state", ParentState)
@pytest.mark.parametrize("kind", NeedKind)
@pytest.mark.parametrize("allowed", [False, True])
def test_the_resolver_does_what_the_truth_table_says(
    cluster: Cluster, kind: NeedKind, state: ParentState, allowed: bool
) -> None:
    parent = a_parent(cluster, state)
    edge = an_edge(0, 0, parent, kind, allow_skipped=allowed)
    job_id = follower(cluster, edge)
    tell(cluster, parent)
    assert not resolver.resolve(cluster.rt, cluster.term)
    effect = needs.effect(kind, state, allow_skipped=allowed)
    assert cluster.value("SELECT COALESCE(settled, 'WAITS') FROM job_needs WHERE job_id = :id", id=job_id) == effect
    assert cluster.job(job_id).status == AFTER[needs.verdict([effect])]
    assert cluster.job(job_id).is_skipped is (effect is NeedEffect.UNNEEDED)


def test_groups_are_settled_as_the_rules_say(cluster: Cluster) -> None:
    states = (ParentState.COMPLETED, ParentState.FAILED, ParentState.SKIPPED, ParentState.BLOCKED, ParentState.WAITING)
    asked = []
    for kind, any_member, tolerate in itertools.product(NeedKind, (False, True), (0, 1)):
        for members in itertools.combinations_with_replacement(states, 2):
            ids = [a_parent(cluster, one) for one in members]
            with cluster.rt.db.begin() as tx:
                (group,) = edges.new_groups(tx, ProjectId(cluster.project), [(None, ids)])
            edge = an_edge(0, 0, ids[-1], kind, group_id=group, any_member=any_member, tolerate=tolerate)
            tally = needs.GroupTally.of([needs.effect(kind, one) for one in members])
            single = any_member or kind is NeedKind.FAIL
            effect = needs.of_any(tally) if single else needs.of_all(tally, tolerate)
            asked.append((follower(cluster, edge), effect, ids[0]))
    tell(cluster, *(first for _, _, first in asked))
    assert not resolver.resolve(cluster.rt, cluster.term)
    rows = cluster.query("SELECT job_id, settled FROM job_needs WHERE group_id IS NOT NULL")
    found = {row.job_id: row.settled or "WAITS" for row in rows}
    assert found == {job_id: effect for job_id, effect, _ in asked}


@pytest.mark.parametrize("seed", range(12))
def test_a_graph_ends_as_the_rules_say_in_any_order(cluster: Cluster, seed: int) -> None:
    """I-W10 and I-W3: the database and the rules agree, whatever ends first and however much is resolved at once."""
    chance = random.Random(seed)
    graph = random_graph(chance, 14)
    expected = settle(graph, random.Random(seed)).final()
    ids = _submitted(cluster, graph)
    while queued := [n for n, one in enumerate(ids) if cluster.job(one).status == "QUEUED"]:
        for number in chance.sample(queued, chance.randint(1, len(queued))):
            end(cluster, ids[number], graph.ends[number])
        if chance.random() < 0.7:
            resolved(cluster)
        if not any(cluster.job(one).status == "QUEUED" for one in ids):
            resolved(cluster)
    assert [(cluster.job(one).status, cluster.job(one).is_skipped) for one in ids] == expected


def _submitted(cluster: Cluster, graph: Graph) -> list[JobId]:
    ids: list[JobId] = []
    for number, row in enumerate(graph.needs):
        ids.append(cluster.a_job(begin(graph).status[number]))
        with cluster.rt.db.begin() as tx:
            rows = []
            for place, need in enumerate(row):
                parents = [ids[one] for one in need.parents]
                group = (
                    edges.new_groups(tx, ProjectId(cluster.project), [(None, parents)])[0] if need.is_group else None
                )
                last = max(parents)
                rows.append(an_edge(ids[number], place, last, need.kind, group_id=group, any_member=need.any_member, tolerate=need.tolerate, allow_skipped=need.allow_skipped))  # fmt: skip
                edges.mark(tx, dict.fromkeys(parents, 1))
            edges.insert(tx, rows)
    return ids


def test_a_chain_of_blocked_jobs_is_blocked_by_one_call_and_goes_on_when_its_culprit_does(cluster: Cluster) -> None:
    chain = [cluster.a_job()]
    for _ in range(30):
        chain.append(follower(cluster, (chain[-1], NeedKind.OK)))
    end(cluster, chain[0], "FAILED")
    resolved(cluster)
    assert {cluster.job(one).status for one in chain[1:]} == {"BLOCKED"}
    with cluster.rt.db.begin() as tx:
        found = verdicts.culprit(tx, chain[-1])
    assert found is not None
    assert (found.id, found.status, found.depth) == (chain[0], "FAILED", 30)
    requeue.requeue(cluster.rt, [chain[0]], actor="test")
    resolved(cluster)
    assert {cluster.job(one).status for one in chain[1:]} == {"PENDING"}
    end(cluster, chain[0], "COMPLETED")
    resolved(cluster)
    assert [cluster.job(one).status for one in chain[:3]] == ["COMPLETED", "QUEUED", "PENDING"]


def test_what_blocks_a_chain_and_what_frees_it_takes_as_many_statements_whatever_its_length(cluster: Cluster) -> None:
    costs = []
    for length in (3, 40):
        chain = [cluster.a_job()]
        for _ in range(length):
            chain.append(follower(cluster, (chain[-1], NeedKind.OK)))
        end(cluster, chain[0], "FAILED")
        with counted() as blocking:
            resolver.resolve(cluster.rt, cluster.term)
        requeue.requeue(cluster.rt, [chain[0]], actor="test")
        with counted() as freeing:
            resolver.resolve(cluster.rt, cluster.term)
        assert {cluster.job(one).status for one in chain[1:]} == {"PENDING"}
        costs.append((len(blocking), len(freeing)))
    assert costs[0] == costs[1]


def test_only_what_nothing_else_blocks_is_freed_with_a_chain(cluster: Cluster) -> None:
    culprit, other = cluster.a_job(), cluster.a_job()
    first = follower(cluster, (culprit, NeedKind.OK))
    both = follower(cluster, (first, NeedKind.OK), (other, NeedKind.OK))
    handler = follower(cluster, (first, NeedKind.FAIL), (both, NeedKind.OK))
    last = follower(cluster, (both, NeedKind.START), (culprit, NeedKind.ANY))
    for one in (culprit, other):
        end(cluster, one, "FAILED")
    resolved(cluster)
    assert [cluster.job(one).status for one in (first, both, last)] == ["BLOCKED"] * 3
    assert cluster.job(handler).is_skipped, "not needed comes before broken, along a chain too"
    requeue.requeue(cluster.rt, [culprit], actor="test")
    resolved(cluster)
    assert [cluster.job(one).status for one in (first, both, last)] == ["PENDING", "BLOCKED", "BLOCKED"]


def test_more_followers_than_one_transaction_takes_are_released_by_several(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_BATCH", 5)
    parent = cluster.a_job()
    followers = [follower(cluster, (parent, NeedKind.OK)) for _ in range(13)]
    end(cluster, parent, "COMPLETED")
    with counted() as count:
        resolved(cluster)
    assert {cluster.job(one).status for one in followers} == {"QUEUED"}
    assert count.transactions >= 3


def test_a_skipped_handler_is_needed_once_its_parent_fails_after_all(cluster: Cluster) -> None:
    parent = cluster.a_job()
    handler = follower(cluster, (parent, NeedKind.FAIL))
    end(cluster, parent, "CANCELED")
    resolved(cluster)
    assert cluster.job(handler).is_skipped
    requeue.requeue(cluster.rt, [parent], actor="test")
    resolved(cluster)
    assert (cluster.job(handler).status, cluster.job(handler).round) == ("PENDING", 2)
    end(cluster, parent, "FAILED")
    resolved(cluster)
    assert cluster.job(handler).status == "QUEUED"


def test_a_job_that_begins_anew_waits_for_needs_that_are_not_satisfied(cluster: Cluster) -> None:
    parent = cluster.a_job()
    job_id = follower(cluster, (parent, NeedKind.OK))
    cancel.cancel(cluster.rt, [job_id], actor="test")
    requeue.requeue(cluster.rt, [job_id], actor="test")
    resolved(cluster)
    assert cluster.job(job_id).status == "PENDING"
    end(cluster, parent, "COMPLETED")
    resolved(cluster)
    assert cluster.job(job_id).status == "QUEUED"


def test_a_start_satisfies_at_the_claim_and_stays_when_the_parent_waits_for_another_try(cluster: Cluster) -> None:
    node = cluster.a_node()
    parent = cluster.a_job()
    job_id = follower(cluster, (parent, NeedKind.START))
    cluster.tick()
    resolved(cluster)
    assert cluster.job(job_id).status == "PENDING"
    ref = cluster.execution_of(parent)
    cluster.claim(node, ref)
    assert cluster.nudges[-1] == "tick"
    resolved(cluster)
    assert cluster.job(job_id).status == "QUEUED"
    cluster.report(node, ref, "failed", error="node-lost")
    resolved(cluster)
    assert cluster.job(job_id).status == "QUEUED"


def test_followers_wait_while_their_parent_has_tries_left(cluster: Cluster) -> None:
    node = cluster.a_node()
    parent = cluster.a_job(max_tries=2)
    ok, handler = (follower(cluster, (parent, kind)) for kind in (NeedKind.OK, NeedKind.FAIL))
    for status in ("PENDING", "after"):
        cluster.change("UPDATE jobs SET not_before = NULL WHERE id = :id", id=parent)
        cluster.tick()
        ref = cluster.execution_of(parent)
        cluster.claim(node, ref)
        cluster.report(node, ref, "failed", error="node-lost")
        resolved(cluster)
        if status == "PENDING":
            assert {cluster.job(one).status for one in (ok, handler)} == {"PENDING"}
    assert (cluster.job(ok).status, cluster.job(handler).status) == ("BLOCKED", "QUEUED")


def test_a_job_waits_for_both_its_needs_and_its_time(cluster: Cluster) -> None:
    parent = cluster.a_job()
    job_id = follower(cluster, (parent, NeedKind.OK), not_before="2100-01-01")
    cluster.change("UPDATE jobs SET not_before = now() WHERE id = :id", id=job_id)
    with cluster.rt.db.begin() as tx:
        assert jobs.due(tx, 10) == []
    cluster.change("UPDATE jobs SET not_before = '2100-01-01' WHERE id = :id", id=job_id)
    end(cluster, parent, "COMPLETED")
    resolved(cluster)
    assert cluster.job(job_id).status == "PENDING"
    cluster.change("UPDATE jobs SET not_before = now() WHERE id = :id", id=job_id)
    with cluster.rt.db.begin() as tx:
        assert ready(tx, jobs.due(tx, 10)) == [job_id]


def test_the_database_refuses_a_need_for_a_later_job(cluster: Cluster) -> None:
    first, second = cluster.a_job("PENDING"), cluster.a_job()
    with pytest.raises(DBAPIError, match="need_of_an_earlier_job"), cluster.rt.db.begin() as tx:
        edges.insert(tx, [an_edge(first, 0, second, NeedKind.OK)])


def test_a_locked_follower_is_left_for_the_next_turn(cluster: Cluster) -> None:
    parent = cluster.a_job()
    job_id = follower(cluster, (parent, NeedKind.OK))
    end(cluster, parent, "COMPLETED")
    with cluster.rt.db.begin() as tx:
        jobs.lock(tx, [job_id])
        assert resolver.resolve(cluster.rt, cluster.term)
        assert cluster.job(job_id).status == "PENDING"
    resolved(cluster)
    assert cluster.job(job_id).status == "QUEUED"


def test_a_leader_whose_term_is_over_resolves_nothing(cluster: Cluster) -> None:
    parent = cluster.a_job()
    job_id = follower(cluster, (parent, NeedKind.OK))
    end(cluster, parent, "COMPLETED")
    assert not resolver.resolve(cluster.rt, type(cluster.term)(cluster.term - 1))
    assert cluster.job(job_id).status == "PENDING"
    resolved(cluster)
    assert cluster.job(job_id).status == "QUEUED"


def test_what_was_overlooked_is_found_by_the_sweep_and_told_as_a_violation(cluster: Cluster) -> None:
    parent = cluster.a_job()
    job_id = follower(cluster, (parent, NeedKind.OK))
    end(cluster, parent, "COMPLETED")
    cluster.change("DELETE FROM need_changes")
    assert {v.number for v in invariants.check(cluster.rt) if v.number.startswith("I-W")} == {"I-W3"}
    assert resolver.sweep(cluster.rt) == 1
    resolved(cluster)
    assert cluster.job(job_id).status == "QUEUED"
    assert resolver.sweep(cluster.rt) == 0
