"""A node that keeps no projects apart serves the ones that it names, and `why` says so."""

from scheduler.identifiers import ProjectId
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.explain.explain import explain
from scheduler.rules.placement import filters
from tests.support.placement import NOW, World, a_node, where

MINE, THEIRS = ProjectId(1), ProjectId(2)


def test_a_job_of_another_project_waits_while_the_node_has_room_and_one_of_its_own_starts() -> None:
    world = World([a_node(1, projects=frozenset({MINE}))])
    theirs = world.job(world.shape(project_id=THEIRS))
    mine = world.job(world.shape(project_id=MINE))
    plan = world.plan()
    assert set(where(plan)) == {mine}
    assert theirs not in where(plan)


def test_a_node_that_serves_all_takes_the_other_one() -> None:
    world = World([a_node(1, projects=frozenset({MINE})), a_node(2)])
    theirs = world.job(world.shape(project_id=THEIRS))
    assert where(world.plan()) == {theirs: 2}


def test_shapes_of_two_projects_are_told_apart_by_their_answers_only_where_a_node_is_closed() -> None:
    closed, open_ = World([a_node(1, projects=frozenset({MINE}))]), World([a_node(1)])
    for world, differ in ((closed, True), (open_, False)):
        answers = [
            bool(filters.eligible(world.shape(project_id=project), world.snapshot.nodes, world.policy).any())
            for project in (MINE, THEIRS)
        ]
        assert (answers == [True, False]) is differ


def test_why_names_the_reason_and_asks_for_another_node() -> None:
    world = World([a_node(1, projects=frozenset({MINE}))])
    job = world.job(world.shape(project_id=THEIRS))
    assert explain(world.snapshot, job, NOW).main is Reason.OTHER_PROJECT
