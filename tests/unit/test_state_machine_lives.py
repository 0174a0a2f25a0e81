"""What a node's state machine does after an earlier life, or when the scheduler has taken away what it holds."""

from __future__ import annotations

from scheduler.identifiers import Epoch
from scheduler.rules.lifecycle.outcome import Outcome
from tests.support.keys import FIRST, a_key
from tests.support.node import World, a_spec
from workers import commands
from workers.events import EpochReplaced, ExecutionFailure, SupervisorUp, TreeIdle

KEY = FIRST


def lived(*, pre: list[str] | None = None) -> World:
    world = World().up()
    world.grant(a_spec(pre=pre))
    return world


def test_an_intent_whose_claim_got_no_answer_is_claimed_again_with_the_same_token() -> None:
    world = World().up()
    world.beat(waiting=[KEY])
    again = world.reborn().up()
    assert again.all(commands.SendClaim) == world.all(commands.SendClaim)
    assert again.all(commands.RegisterNode)[0].held[0].token == world.all(commands.SendClaim)[0].claim.token


def test_a_granted_execution_that_was_not_started_is_staged_afresh() -> None:
    again = lived().reborn().up(keep=[KEY])
    assert len(again.all(commands.StageInputs)) == 1


def test_a_running_command_is_followed_where_it_is() -> None:
    world = lived()
    world.staged()
    again = world.reborn().up(runs=[(KEY, "job")], keep=[KEY])
    assert not again.all(commands.StageInputs)
    assert len(again.all(commands.FollowOutput)) == 1
    again.ended("job")
    again.collected()
    again.shipped()
    assert again.report().outcome == Outcome.COMPLETED


def test_a_command_that_never_reached_a_supervisor_is_started_now() -> None:
    world = lived()
    world.staged()
    again = world.reborn().up(keep=[KEY])
    assert [start.run.phase for start in again.all(commands.StartRun)] == ["job"]


def test_nothing_of_an_earlier_life_is_started_before_the_scheduler_has_agreed() -> None:
    world = lived()
    world.staged()
    again = world.reborn()
    again.tell(SupervisorUp(frozenset()))
    assert not again.all(commands.StartRun)
    again.registered(kill=[KEY])
    again.tell(TreeIdle(KEY))
    assert not again.all(commands.StartRun)
    assert not again.machine.held


def test_a_command_that_ended_before_the_registration_waits_for_its_answer() -> None:
    world = lived(pre=["/bin/a"])
    world.staged()
    again = world.reborn()
    again.tell(SupervisorUp(frozenset([(KEY, "pre")])))
    again.ended("pre")
    assert not again.all(commands.StartRun)
    again.registered(keep=[KEY])
    assert [start.run.phase for start in again.all(commands.StartRun)] == ["job"]


def test_a_report_without_acknowledgement_is_sent_again() -> None:
    world = lived()
    world.staged()
    world.ended("job", 5)
    world.shipped()
    again = world.reborn().up(keep=[KEY])
    assert again.report() == world.report()
    again.acknowledged()
    assert not again.machine.held


def test_what_the_scheduler_wants_killed_is_killed_before_anything_is_claimed() -> None:
    world = lived()
    world.staged()
    again = world.reborn().up(runs=[(KEY, "job")], kill=[KEY])
    assert commands.KillTree(KEY, 0.0) in again.done
    again.beat(waiting=[a_key(2, 1)])
    assert not again.all(commands.SendClaim)
    again.ended("job", None, why="killed", signal=9)
    again.beat(waiting=[a_key(2, 1)])
    assert len(again.all(commands.SendClaim)) == 1
    assert not again.all(commands.SendReport)


def test_a_tree_that_nobody_knows_is_killed() -> None:
    world = World().up(runs=[(a_key(9, 9), "job")])
    assert commands.KillTree(a_key(9, 9), 0.0) in world.done


def test_a_replaced_node_purges_what_it_holds_and_registers_when_all_of_it_is_gone() -> None:
    world = World().up()
    for number in (1, 2, 3):
        world.grant(a_spec(a_key(number, 1)))
    world.staged(FIRST)
    world.staged(a_key(2, 1))
    world.ended("job", 1, a_key(2, 1))
    world.shipped(a_key(2, 1))
    world.tell(EpochReplaced(Epoch(1)))
    assert len(world.all(commands.RegisterNode)) == 1
    world.staged(a_key(3, 1), ExecutionFailure("staging", "stopped"))
    world.ended("job", None, why="killed", signal=9)
    (_, second) = world.all(commands.RegisterNode)
    assert [(held.execution_id, held.attempt) for held in second.held] == [(2, 1)]
    assert [report.report.execution_id for report in world.all(commands.SendReport)] == [2]
    world.registered(epoch=2)
    assert world.machine.epoch == 2


def test_an_answer_of_an_epoch_that_is_over_purges_nothing() -> None:
    world = World().up()
    world.tell(EpochReplaced(Epoch(1)))
    world.registered(epoch=2)
    world.tell(EpochReplaced(Epoch(1)))
    assert len(world.all(commands.RegisterNode)) == 2
