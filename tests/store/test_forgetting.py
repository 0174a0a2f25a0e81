"""Nodes that have left: not listed unless asked for, forgotten where nothing refers to them, and their names are free."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scheduler.errors import NodeReplaced
from scheduler.identifiers import NodeId
from scheduler.identity import Caller, Role
from scheduler.leader import invariants, maintenance
from scheduler.nodes import admin, drain, queries, registration
from scheduler.nodes.admin import NodeChanges
from scheduler.store.nodes import nodes
from scheduler.store.nodes.listing import NodeFilter
from scheduler.store.paging import PageWindow
from tests.support.cluster import Cluster

ANN = Caller(1, "ann", Role.OPERATOR)


def listed(cluster: Cluster, chosen: NodeFilter) -> list[str]:
    return [row.name for row in queries.page(cluster.rt, chosen, PageWindow(1, 100, ())).rows]


def forget(cluster: Cluster, remembered: set[NodeId] | None = None) -> list[NodeId]:
    placeable = {node.id for node in cluster.state.nodes}
    return maintenance.delete_departed_nodes(cluster.rt, set() if remembered is None else remembered, placeable)


def test_a_node_that_has_left_is_listed_only_for_who_asks(cluster: Cluster) -> None:
    gone = cluster.a_node("gone")
    cluster.a_node("here")
    registration.leave(cluster.rt, gone.node_id, gone.epoch)
    assert listed(cluster, NodeFilter()) == ["here"]
    assert listed(cluster, NodeFilter(is_active=True)) == ["here"]
    for asked in (NodeFilter(state=("GONE",)), NodeFilter(name=("gone",)), NodeFilter(id=(gone.node_id,))):
        assert listed(cluster, asked) == ["gone"]


def test_a_node_that_left_without_having_run_anything_is_forgotten(cluster: Cluster) -> None:
    node = cluster.a_node("idle")
    registration.leave(cluster.rt, node.node_id, node.epoch)
    cluster.tick()
    assert forget(cluster) == [node.node_id]
    assert cluster.value("SELECT count(*) FROM nodes") + cluster.value("SELECT count(*) FROM beats") == 0
    with pytest.raises(NodeReplaced):
        cluster.beat(node)
    assert cluster.a_node("idle").node_id != node.node_id
    assert invariants.check(cluster.rt) == []


def test_a_node_that_ran_something_is_remembered_and_comes_back_as_itself(cluster: Cluster) -> None:
    node = cluster.a_node("busy")
    _, ref = cluster.running(node)
    assert cluster.report(node, ref).accepted
    registration.leave(cluster.rt, node.node_id, node.epoch)
    cluster.tick()
    remembered: set[NodeId] = set()
    assert (forget(cluster, remembered), remembered) == ([], {node.node_id})
    back = cluster.a_node("busy")
    assert (back.node_id, back.epoch > node.epoch) == (node.node_id, True)


def test_a_node_that_placement_still_believes_in_is_not_forgotten(cluster: Cluster) -> None:
    node = cluster.a_node("quick")
    cluster.tick()
    registration.leave(cluster.rt, node.node_id, node.epoch)
    assert forget(cluster) == []
    cluster.tick()
    assert forget(cluster) == [node.node_id]


@pytest.mark.parametrize("said", [{"is_active": False}, {"is_paused": True, "pause_reason": "smells"}])
def test_what_an_operator_said_of_a_node_outlives_it(cluster: Cluster, said: NodeChanges) -> None:
    node = cluster.a_node("bad")
    admin.change(cluster.rt, ANN, node.node_id, said)
    registration.leave(cluster.rt, node.node_id, node.epoch)
    cluster.tick()
    assert forget(cluster) == []
    back = queries.get(cluster.rt, cluster.a_node("bad").node_id)
    assert {name: getattr(back, name) for name in said} == said


def test_a_node_that_its_pool_must_still_clear_away_is_not_forgotten(cluster: Cluster) -> None:
    node = cluster.a_node("n")
    drain.drain(cluster.rt, node.node_id, actor="scaling", reason="smaller", retiring=True)
    registration.leave(cluster.rt, node.node_id, node.epoch)
    cluster.tick()
    assert forget(cluster) == []


def test_out_of_service_stays_so_with_its_date_when_the_node_registers_again(cluster: Cluster) -> None:
    node = cluster.a_node("old")
    admin.change(cluster.rt, ANN, node.node_id, {"is_active": False})
    archived = queries.get(cluster.rt, node.node_id).archived
    assert archived is not None
    cluster.a_node("old")
    assert queries.get(cluster.rt, node.node_id).archived == archived
    registration.leave(cluster.rt, node.node_id, node.epoch)
    assert queries.get(cluster.rt, node.node_id).archived == archived
    cluster.a_node("old")
    admin.change(cluster.rt, ANN, node.node_id, {"is_active": True})
    assert queries.get(cluster.rt, node.node_id).archived is None


def test_a_node_that_left_and_is_put_back_into_service_still_has_left(cluster: Cluster) -> None:
    node = cluster.a_node("old")
    admin.change(cluster.rt, ANN, node.node_id, {"is_active": False})
    registration.leave(cluster.rt, node.node_id, node.epoch)
    admin.change(cluster.rt, ANN, node.node_id, {"is_active": True})
    assert queries.get(cluster.rt, node.node_id).archived is not None
    back = cluster.a_node("old")
    assert queries.get(cluster.rt, back.node_id).archived is None


def test_a_node_that_registers_while_it_is_being_forgotten_is_a_new_one(cluster: Cluster) -> None:
    node = cluster.a_node("n")
    registration.leave(cluster.rt, node.node_id, node.epoch)
    with ThreadPoolExecutor(1) as other:
        with cluster.rt.db.begin() as tx:
            assert nodes.delete_unused(tx, node.node_id)
            coming = other.submit(cluster.a_node, "n")
            while not cluster.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                assert not coming.done()
        back = coming.result(10)
    assert (back.node_id != node.node_id, back.epoch) == (True, 1)
