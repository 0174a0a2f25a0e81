"""What waits on a node ahead of room: started there in order when room frees, given back when it is asked for."""

from __future__ import annotations

from scheduler import wire
from scheduler.rules.lifecycle.outcome import StopReason
from tests.support.keys import a_key
from tests.support.node import World, a_spec
from workers import commands
from workers.events import ExchangeAnswered, HealthChanged, StopRequested, Tick
from workers.paths import ExecutionKey

ONE, TWO, THREE = (a_key(number, 1) for number in (1, 2, 3))


def spec(key: ExecutionKey, *, ahead: bool = True, priority: int = 100, cpus: int = 1000) -> wire.TaskSpec:
    amounts = {"cpus": cpus, "mem": 1000, "disk": 1000}
    return a_spec(key, amounts=amounts).model_copy(update={"ahead": ahead, "priority": priority})


def busy() -> World:
    """A node of one cpu, taken by the first execution, with two more ahead."""
    world = World().up()
    world.grant(spec(ONE, ahead=False))
    world.grant(spec(TWO))
    world.grant(spec(THREE))
    return world


def finish(world: World, key: ExecutionKey) -> None:
    world.staged(key)
    world.ended("job", key=key)
    world.collected(key)
    world.shipped(key)


def staged(world: World) -> list[int]:
    return [command.spec.execution_id for command in world.all(commands.StageInputs)]


def told(world: World) -> list[tuple[int, str]]:
    return [(command.report.execution_id, command.report.outcome) for command in world.all(commands.SendReport)]


def test_the_next_one_starts_when_room_frees_and_without_an_answer_of_the_scheduler() -> None:
    world = busy()
    assert staged(world) == [1]
    finish(world, ONE)
    assert staged(world) == [1, 2]
    finish(world, TWO)
    assert staged(world) == [1, 2, 3]
    assert [command.start.execution_id for command in world.all(commands.SendStart)] == [2, 3]
    assert world.all(commands.SendReport)[1].report.started is not None


def test_the_start_stands_in_the_journal_before_anything_of_it_is_done() -> None:
    world = busy()
    finish(world, ONE)
    kinds = [
        command.fact.kind if isinstance(command, commands.WriteJournalEntry) else type(command).__name__
        for command in world.done
        if isinstance(command, commands.WriteJournalEntry | commands.StageInputs)
    ]
    assert kinds.index("start") < len(kinds) - 1 - kinds[::-1].index("StageInputs")


def test_the_more_urgent_one_goes_first_and_nothing_passes_it() -> None:
    world = World().up()
    world.grant(spec(ONE, ahead=False, cpus=600))
    world.grant(spec(TWO, cpus=300))
    assert staged(world) == [1, 2], "there was room"
    world.grant(spec(THREE, cpus=900))
    world.grant(spec(a_key(4, 1), cpus=100))
    assert staged(world) == [1, 2], "the fourth would fit, but the third was placed before"
    world.grant(spec(a_key(5, 1), priority=1, cpus=100))
    assert staged(world) == [1, 2, 5]


def test_what_is_recalled_goes_back_unless_it_has_started() -> None:
    world = busy()
    world.cancel(TWO, StopReason.RECALLED)
    assert told(world) == [(2, "unstarted")]
    world.cancel(ONE, StopReason.RECALLED)
    assert not world.all(commands.StopFileWork)
    finish(world, ONE)
    assert staged(world) == [1, 3]


def test_a_cancel_gives_back_what_has_not_started() -> None:
    world = busy()
    world.cancel(THREE)
    assert told(world) == [(3, "unstarted")]


def test_a_drain_a_stop_and_bad_health_give_back_all_that_waits() -> None:
    for event in (HealthChanged("the disk is full"), StopRequested("drain"), StopRequested("return")):
        world = busy()
        world.tell(event)
        assert {one for one in told(world) if one[1] == "unstarted"} == {(2, "unstarted"), (3, "unstarted")}
    world = busy()
    world.beat(drain=True)
    assert len(told(world)) == 2


def test_nothing_starts_once_the_lease_is_nearly_over() -> None:
    world = busy()
    world.boot += 80
    finish(world, ONE)
    assert staged(world) == [1]
    world.beat()
    assert staged(world) == [1, 2], "the scheduler has answered again"


def test_the_next_life_knows_what_never_started() -> None:
    world = busy()
    finish(world, ONE)
    world.staged(TWO)
    world = world.reborn()
    world.up(keep=[ONE, TWO, THREE], runs=[(TWO, "job")])
    (command,) = world.all(commands.RegisterNode)
    assert {(one.execution_id, one.started) for one in command.held} == {(1, True), (2, True), (3, False)}
    assert [one.start.execution_id for one in world.all(commands.SendStart)] == [2], "told again"
    assert 3 not in staged(world), "the second still has the room"
    world.ended("job", key=TWO)
    world.collected(TWO)
    world.shipped(TWO)
    assert staged(world)[-1] == 3


def test_what_the_scheduler_has_no_room_for_is_stopped_and_given_back() -> None:
    world = busy()
    finish(world, ONE)
    world.staged(TWO)
    ref = wire.ExecutionRef(execution_id=TWO[0], attempt=TWO[1])
    assert world.machine.epoch is not None
    world.tell(ExchangeAnswered(wire.ExchangeAnswer(overdrawn=[ref]), world.machine.epoch))
    assert [command.key for command in world.all(commands.KillTree)] == [TWO]
    world.ended("job", None, key=TWO, why="killed", signal=9)
    world.shipped(TWO)
    assert told(world)[-1] == (2, "returned")


def test_a_tick_changes_nothing_while_there_is_no_room() -> None:
    world = busy()
    world.tell(Tick())
    assert staged(world) == [1]
