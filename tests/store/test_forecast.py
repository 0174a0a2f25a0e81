"""Why a job waits, answered on a picture that follows the database."""

from itertools import count

from scheduler.explain.forecast import STALE_S, Forecaster
from scheduler.identifiers import JobId, NodeId, ShapeId
from scheduler.jobs import cancel
from scheduler.jobs.admission import AdmissionCheck
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain.explain import TrialJob
from tests.support.cluster import Cluster


def test_it_says_why_a_job_waits_and_stops_when_the_job_is_gone(cluster: Cluster) -> None:
    cluster.a_node("alpha", cpus=2000)
    small, large = cluster.a_job(), cluster.a_job(cpus=64_000)
    forecaster = Forecaster(cluster.rt)
    why = forecaster.explain(large)
    assert why is not None
    assert why.explanation.nodes == {Reason.TOO_SMALL: 1}
    assert why.explanation.nearest is not None
    assert (why.explanation.nearest.name, why.explanation.nearest.missing) == ("alpha", {"cpus": 62_000})
    assert why.never is not None
    cluster.tick()
    assert forecaster.explain(small) is None, "it was placed by the leader"
    cancel.cancel(cluster.rt, [large], actor="me")
    assert forecaster.explain(large) is None


def test_it_sees_nodes_that_come_and_pauses_that_go(cluster: Cluster) -> None:
    job_id = cluster.a_job()
    forecaster = Forecaster(cluster.rt)
    first = forecaster.explain(job_id)
    cluster.a_node()
    cluster.change("UPDATE job_types SET is_paused = true")
    second = forecaster.explain(job_id)
    cluster.change("UPDATE job_types SET is_paused = false")
    third = forecaster.explain(job_id)
    assert first is not None
    assert first.explanation.usable == 0
    assert second is not None
    assert (second.explanation.usable, second.explanation.main) == (1, Reason.TYPE_PAUSED)
    assert third is not None
    assert third.explanation.main is not Reason.TYPE_PAUSED


def test_a_preview_agrees_with_the_tick_and_writes_nothing(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=2000)
    shape = Shape(ShapeId(0), Resources(1000), project_id=cluster.project, job_type_id=cluster.type)
    forecaster = Forecaster(cluster.rt)
    (seen,) = forecaster.preview([TrialJob(shape)])
    assert seen.placement is not None
    assert seen.placement.node_id == node.node_id
    assert cluster.value("SELECT count(*) FROM jobs") == 0
    assert forecaster.admission.never_fits(shape) is None
    assert forecaster.admission.never_fits(Shape(ShapeId(0), Resources(3000))) is not None


def test_of_equal_nodes_a_preview_names_the_one_that_the_tick_takes(cluster: Cluster) -> None:
    nodes = {cluster.a_node(f"n{number}").node_id: number for number in range(10)}
    forecaster, seen, taken = Forecaster(cluster.rt), list[int](), list[int]()
    for cpus in range(1000, 1006):
        shape = Shape(ShapeId(0), Resources(cpus), project_id=cluster.project, job_type_id=cluster.type)
        (told,) = forecaster.preview([TrialJob(shape)])
        seen.append(told.assigned[0])
        job_id = cluster.a_job(cpus=cpus)
        cluster.tick()
        taken.append(cluster.query("SELECT node_id FROM executions WHERE job_id = :id", id=job_id)[0].node_id)
    assert seen == taken
    assert len({nodes[NodeId(node_id)] for node_id in taken}) > 1


def test_a_pool_is_believed_to_start_no_more_nodes_than_it_may_have(cluster: Cluster) -> None:
    clock = count(step=10.0)
    admission = AdmissionCheck(cluster.rt, lambda: next(clock))
    gang = Shape(ShapeId(0), Resources(4000), pool="default", count=3)
    cluster.change(
        """UPDATE pools SET sizing = 'auto', largest = 2, template = '{"cpus": 4000, "mem": 0, "disk": 0}'"""
    )
    found = admission.never_fits(gang)
    assert found is not None
    assert (found.fitting, found.growing) == (2, True)
    cluster.a_node(cpus=4000)
    found = admission.never_fits(gang)
    assert found is not None
    assert found.fitting == 2, "the node that has come is one of the two"
    cluster.change("UPDATE pools SET sizing = 'fixed', size = 3")
    assert admission.never_fits(gang) is None
    cluster.change("UPDATE pools SET sizing = 'free'")
    assert admission.never_fits(Shape(ShapeId(0), Resources(4000), count=2)) is not None


def test_after_a_long_silence_the_picture_is_read_anew(cluster: Cluster) -> None:
    clock = [0.0]
    forecaster = Forecaster(cluster.rt, lambda: clock[0])
    assert forecaster.explain(JobId(1)) is None
    before = forecaster._state
    clock[0] = STALE_S + 1
    job_id = cluster.a_job()
    assert forecaster.explain(job_id) is not None
    assert forecaster._state is not before
