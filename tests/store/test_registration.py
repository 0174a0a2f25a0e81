"""Nodes that come, come back and come twice at once: what they hold, and what becomes of what they forgot."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event

from scheduler import wire
from scheduler.errors import NodeNameTaken
from scheduler.leader import invariants
from scheduler.nodes import registration
from tests.support.cluster import TOKEN, Cluster


def test_what_a_node_has_forgotten_is_lost_and_tried_again(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    (kept, kept_ref), (forgotten, _) = cluster.running(node), cluster.running(node)
    waiting = cluster.a_job()
    cluster.tick()
    held = [{"execution_id": kept_ref[0], "attempt": 1, "token": TOKEN}]
    back = cluster.a_node("alpha", held=held)
    assert (back.epoch, back.kill) == (node.epoch, [])
    assert [cluster.job(job).status for job in (kept, forgotten, waiting)] == ["RUNNING", "QUEUED", "RUNNING"]
    assert cluster.query("SELECT message FROM executions WHERE job_id = :id", id=forgotten)[0].message
    assert invariants.check(cluster.rt) == []


def test_what_a_node_holds_under_another_token_is_killed_and_lost(cluster: Cluster) -> None:
    job_id, ref = cluster.running(cluster.a_node("alpha"))
    back = cluster.a_node("alpha", held=[{"execution_id": ref[0], "attempt": 1, "token": "another-token-of-old"}])
    assert [k.execution_id for k in back.kill] == [ref[0]]
    assert cluster.job(job_id).status == "QUEUED"


def test_a_node_that_repeats_its_first_registration_too_soon_is_one_node(cluster: Cluster) -> None:
    answers = _both_at_once(cluster, [{}, {}])
    (node_id,) = cluster.query("SELECT id FROM nodes")  # 1 or 2: whoever lost had taken a number, too
    assert [(a.node_id, a.epoch) for a in answers] == [(*node_id, 1)] * 2


def test_of_two_machines_that_come_with_one_name_at_once_one_is_refused(cluster: Cluster) -> None:
    answers = _both_at_once(cluster, [{"disk_id": "one"}, {"disk_id": "two"}])
    assert sum(isinstance(a, NodeNameTaken) for a in answers) == 1


def test_two_nodes_of_a_pool_that_is_new_register_at_once(cluster: Cluster) -> None:
    answers = _both_at_once(cluster, [{"name": "a", "pool": "fresh"}, {"name": "b", "pool": "fresh"}])
    assert all(isinstance(a, wire.Registered) for a in answers), answers


def _both_at_once(cluster: Cluster, facts: list[dict[str, Any]]) -> list[Any]:
    """Register twice so that neither sees the other's rows before it writes its own."""
    both = threading.Barrier(2)
    met = threading.local()

    def meet(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM nodes WHERE name" in statement and not getattr(met, "yes", False):
            met.yes = True
            _cursor.execute(statement, *_[:1])
            both.wait(10)

    answers: list[Any] = []

    def register(said: dict[str, Any]) -> None:
        try:
            answers.append(cluster.a_node(**{"name": "alpha", **said}))
        except Exception as refusal:  # noqa: BLE001 - it is the answer
            answers.append(refusal)

    event.listen(cluster.rt.db, "before_cursor_execute", meet)
    threads = [threading.Thread(target=register, args=(said,)) for said in facts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event.remove(cluster.rt.db, "before_cursor_execute", meet)
    return answers


def test_leaving_twice_or_under_an_old_epoch_changes_nothing(cluster: Cluster) -> None:
    node = cluster.a_node("alpha")
    registration.leave(cluster.rt, node.node_id, node.epoch)
    registration.leave(cluster.rt, node.node_id, node.epoch)
    again = cluster.a_node("alpha")
    assert again.epoch > node.epoch
    registration.leave(cluster.rt, node.node_id, node.epoch)
    assert cluster.value("SELECT state FROM nodes") == "READY"
    with pytest.raises(NodeNameTaken):
        cluster.a_node("alpha", disk_id="another")
