"""Room that a tick keeps is kept by the next one, whoever makes it, and seen by whoever asks what that will do."""

import pytest

from scheduler.cluster_state import ClusterState
from scheduler.explain.forecast import Forecaster
from scheduler.identifiers import ShapeId
from scheduler.leader.tick import TermOver, tick
from scheduler.rules.cluster.plan import CarriedReservation
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain.explain import TrialJob
from tests.support.cluster import Cluster


def test_a_claim_is_kept_for_the_next_leader_and_seen_by_who_asks(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=2000)
    cluster.a_job()
    cluster.tick()
    large = cluster.a_job(cpus=2000)
    cluster.tick()
    claims = cluster.state.carried
    shape = cluster.value("SELECT shape_id FROM jobs WHERE id = :id", id=large)
    assert claims == (CarriedReservation(large, shape, (node.node_id,), claims[0].promised, claims[0].due),)
    successor = ClusterState(cluster.settings)
    with cluster.rt.db.begin() as tx:
        successor.refresh(tx)
    assert successor.snapshot().carried == claims
    forecaster = Forecaster(cluster.rt)
    why = forecaster.explain(large)
    assert why is not None
    assert why.explanation.reserved == (node.node_id,)
    assert forecaster._state is not None
    assert forecaster._state.carried == claims
    forecaster.preview(
        [TrialJob(Shape(ShapeId(0), Resources(2000), project_id=cluster.project, job_type_id=cluster.type))]
    )
    assert cluster.value("SELECT jsonb_array_length(claims) FROM leader") == 1, "asking changes nothing"


def test_a_claim_is_forgotten_once_its_job_has_started(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=2000)
    small = cluster.a_job()
    cluster.tick()
    first = cluster.execution_of(small)
    cluster.a_job(cpus=2000)
    cluster.tick()
    cluster.claim(node, first)
    cluster.report(node, first)
    cluster.tick()
    assert cluster.value("SELECT claims FROM leader") == []


def test_who_leads_no_more_keeps_nothing(cluster: Cluster) -> None:
    cluster.a_node(cpus=2000)
    cluster.a_job()
    cluster.tick()
    cluster.a_job(cpus=2000)
    cluster.change("UPDATE leader SET term = term + 1")
    with pytest.raises(TermOver):
        tick(cluster.rt, cluster.state, cluster.term, lambda _delivery: None)
    assert cluster.value("SELECT claims FROM leader") == []
