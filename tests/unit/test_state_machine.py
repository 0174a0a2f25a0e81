"""What a node's state machine does, event by event; all that it knows comes from its answers."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from scheduler.identifiers import Epoch
from scheduler.rules.lifecycle.outcome import Outcome
from tests.support.keys import FIRST, a_key
from tests.support.node import World, a_spec
from workers import commands
from workers.events import (
    ExecutionFailure,
    HealthChanged,
    InputsStaged,
    PlacementsReceived,
    StopRequested,
    SupervisorUp,
    Tick,
    VenvKept,
)
from workers.supervisor.limits import ENVIRONMENT

KEY = FIRST


def test_an_execution_without_files_goes_through_its_three_phases_and_is_reported() -> None:
    world = World().up()
    world.grant(a_spec())
    assert [start.run.phase for start in world.all(commands.StartRun)] == []
    world.staged()
    world.ended("job")
    world.collected()
    world.shipped()
    report = world.report()
    assert (report.outcome, report.error, report.phases["job"].exit_code) == ("completed", None, 0)
    assert all(phase.started and phase.completed for phase in report.phases.values())
    world.acknowledged()
    assert not world.machine.held
    assert not world.reborn().machine.held


def test_the_commands_of_all_phases_run_in_order() -> None:
    world = World().up()
    world.grant(a_spec(pre=["/bin/a"], post=["/bin/b"], cleanup=["/bin/c"]))
    world.staged()
    world.ended("pre")
    world.ended("job")
    world.ended("post")
    world.collected()
    world.ended("cleanup")
    world.shipped()
    assert [start.run.phase for start in world.all(commands.StartRun)] == ["pre", "job", "post", "cleanup"]
    assert world.report().outcome == Outcome.COMPLETED


def test_the_intent_is_written_before_the_claim_and_the_end_before_the_report_and_the_release() -> None:
    world = World().up()
    world.beat(waiting=[KEY])
    world.grant(a_spec())
    world.staged()
    world.ended("job")
    world.collected()
    world.shipped()
    story = [
        command.fact.kind if isinstance(command, commands.WriteJournalEntry) else type(command).__name__
        for command in world.done
        if isinstance(
            command,
            commands.WriteJournalEntry
            | commands.SendClaim
            | commands.StartRun
            | commands.SendReport
            | commands.ReleaseTree,
        )
    ]
    assert story == ["intent", "SendClaim", "spec", "run", "StartRun", "ended", "report", "SendReport", "ReleaseTree"]


@pytest.mark.parametrize(
    ("phase", "end", "error"),
    [
        ("pre", {"exit_code": 4}, "pre-failed"),
        ("pre", {"why": "timeout", "exit_code": None, "signal": 15}, "pre-timeout"),
        ("job", {"exit_code": 3}, None),
        ("job", {"exit_code": None, "signal": 11}, None),
        ("job", {"why": "timeout", "exit_code": None, "signal": 9}, "timeout"),
        ("job", {"why": "out-of-memory", "exit_code": None, "signal": 9}, "out-of-memory"),
        ("job", {"why": "disk-full", "exit_code": 1}, "disk-full"),
        ("job", {"why": "fenced", "exit_code": None, "signal": 9}, "node-lost"),
        ("job", {"why": "launch", "exit_code": None}, "launch"),
        ("job", {"why": "lost", "exit_code": None}, "supervisor-lost"),
        ("post", {"exit_code": 9}, "post-failed"),
        ("post", {"why": "timeout", "exit_code": None}, "post-timeout"),
    ],
)
def test_a_failing_command_is_reported_by_its_phase_and_nothing_follows_it(
    phase: Literal["pre", "job", "post"], end: dict[str, Any], error: str | None
) -> None:
    world = World().up()
    world.grant(a_spec(pre=["/bin/a"], post=["/bin/b"]))
    world.staged()
    for before in ("pre", "job", "post"):
        if before == phase:
            break
        world.ended(before)
    world.ended(phase, **end)
    world.shipped()
    report = world.report()
    assert (report.outcome, report.error) == ("failed", error)
    assert report.phases[phase].exit_code == end["exit_code"]
    assert report.message
    assert world.all(commands.StartRun)[-1].run.phase == phase


def test_an_unknown_name_in_a_command_is_a_launch_failure_with_a_clear_sentence() -> None:
    world = World().up()
    world.grant(a_spec(job=["/bin/echo", "${nobody}"]))
    world.staged()
    assert not world.all(commands.StartRun)
    assert world.report().error == "launch"
    assert world.report().of_job
    assert "${nobody}" in world.report().message


@pytest.mark.parametrize(
    ("commands", "of_program", "of_job"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"shell": True}, True, False),
        ({"runner": "python"}, True, True),
    ],
)
def test_a_program_that_is_not_there_is_its_job_s_fault_and_a_lacking_shell_its_node_s(
    commands: dict[str, Any], of_program: bool, of_job: bool
) -> None:
    world = World().up()
    world.grant(a_spec(**commands))
    world.staged()
    world.ended("job", why="launch", exit_code=None, of_program=of_program)
    world = world.reborn().up(keep=[FIRST])
    world.shipped()
    assert (world.report().error, world.report().of_job) == ("launch", of_job)


@pytest.mark.parametrize(
    ("end", "error"), [({}, None), ({"exit_code": 1}, "staging"), ({"why": "timeout"}, "pre-timeout")]
)
def test_an_environment_that_is_missing_is_made_by_a_run_of_its_own_before_the_pre_command(
    end: dict[str, Any], error: str | None
) -> None:
    world = World().up()
    world.grant(a_spec(runner="python", options={"requirements": ["x"]}, pre=["/bin/true"]))
    world.tell(InputsStaged(FIRST, needs_venv=True))
    assert [command.run.phase for command in world.all(commands.StartRun)] == [ENVIRONMENT]
    assert not world.all(commands.KeepVenv)
    world.ended(ENVIRONMENT, **end)
    world = world.reborn().up(keep=[FIRST])
    if error is None:
        assert world.all(commands.KeepVenv)
        world.tell(VenvKept(FIRST))
        assert world.all(commands.StartRun)[-1].run.phase == "pre"
    else:
        world.shipped()
        assert (world.report().outcome, world.report().error) == ("failed", error)


def test_that_a_container_has_no_runtime_to_start_it_is_its_node_s_fault() -> None:
    world = World().up()
    world.grant(a_spec(runner="container", options={"image": "dir:/"}))
    world.staged()
    if world.all(commands.StartRun):  # this machine has one
        world.ended("job", why="launch", exit_code=None, of_program=True)
    world.shipped()
    assert (world.report().error, world.report().of_job) == ("launch", False)


def test_a_staging_failure_ends_in_the_pre_phase_and_the_cleanup_command_still_runs() -> None:
    world = World().up()
    world.grant(a_spec(cleanup=["/bin/c"]))
    world.staged(failure=ExecutionFailure("checksum", "wrong"))
    world.ended("cleanup", exit_code=1)
    world.shipped()
    report = world.report()
    assert (report.error, report.message) == ("checksum", "wrong")
    assert report.phases["job"].started is None


def test_staging_that_takes_longer_than_the_pre_phase_may_is_given_up() -> None:
    world = World().up()
    world.grant(a_spec(limits={"pre_timeout_s": 5}))
    world.boot += 6
    assert world.tell(Tick()) == [commands.StopFileWork(KEY)]
    world.staged(failure=ExecutionFailure("staging", "stopped"))
    assert world.report().error == "pre-timeout"


def test_a_failure_to_collect_is_the_post_phase_s() -> None:
    world = World().up()
    world.grant(a_spec())
    world.staged()
    world.ended("job")
    world.collected(failure=ExecutionFailure("missing-output", "no file"))
    world.shipped()
    assert world.report().error == "missing-output"


# --- cancel -----------------------------------------------------------------------------------------------


def test_a_cancel_before_the_claim_is_answered_ends_it_at_the_grant() -> None:
    world = World().up()
    world.beat(waiting=[KEY])
    world.cancel(KEY)
    world.grant(a_spec())
    assert not world.all(commands.StageInputs)
    assert world.report().outcome == Outcome.CANCELED


def test_a_cancel_while_staging_stops_the_copy_and_starts_nothing() -> None:
    world = World().up()
    world.grant(a_spec())
    assert commands.StopFileWork(KEY) in world.cancel(KEY)
    world.staged(failure=ExecutionFailure("staging", "stopped"))
    assert not world.all(commands.StartRun)
    assert world.report().outcome == Outcome.CANCELED


def test_a_cancel_while_running_kills_the_tree_with_its_grace_and_is_reported_when_it_is_gone() -> None:
    world = World().up()
    world.grant(a_spec(cleanup=["/bin/c"]))
    world.staged()
    assert commands.KillTree(KEY, 3.0) in world.cancel(KEY, grace_s=3.0)
    assert world.cancel(KEY) == []
    assert not world.all(commands.SendReport)
    world.ended("job", None, why="killed", signal=15)
    world.ended("cleanup")
    world.shipped()
    report = world.report()
    assert (report.outcome, report.error, report.phases["job"].signal) == ("canceled", None, 15)


def test_a_cancel_while_collecting_publishes_nothing() -> None:
    world = World().up()
    world.grant(a_spec())
    world.staged()
    world.ended("job")
    assert commands.StopFileWork(KEY) in world.cancel(KEY)
    world.collected(properties={"a": 1})
    world.shipped()
    assert (world.report().outcome, world.report().properties) == ("canceled", {})


def test_a_preempted_execution_is_returned_uncharged() -> None:
    world = World().up()
    world.grant(a_spec())
    world.staged()
    world.cancel(KEY, reason="preempted")
    world.ended("job", 143, why="killed")
    world.shipped()
    assert (world.report().outcome, world.report().error) == ("returned", None)


# --- claims -----------------------------------------------------------------------------------------------


def test_a_placement_is_claimed_once_however_often_it_is_told() -> None:
    world = World().up()
    world.tell(PlacementsReceived(Epoch(1), [KEY]))
    world.tell(PlacementsReceived(Epoch(1), [KEY]))
    world.beat(waiting=[KEY])
    assert len(world.all(commands.SendClaim)) == 1


def test_a_message_of_another_epoch_is_ignored() -> None:
    world = World().up()
    assert world.tell(PlacementsReceived(Epoch(7), [KEY])) == []


def test_a_refused_claim_is_forgotten() -> None:
    world = World().up()
    world.beat(waiting=[KEY])
    world.refuse(KEY)
    assert not world.machine.held


def test_a_node_in_trouble_claims_nothing_until_it_is_well() -> None:
    world = World().up()
    world.tell(HealthChanged("the disk is full"))
    world.beat(waiting=[KEY])
    assert not world.all(commands.SendClaim)
    world.tell(HealthChanged(None))
    world.beat(waiting=[KEY])
    assert len(world.all(commands.SendClaim)) == 1


def test_no_command_is_started_once_the_lease_is_two_thirds_over() -> None:
    world = World().up()
    world.grant(a_spec(limits={"lease_s": 30}))
    world.boot += 21
    world.staged()
    assert not world.all(commands.StartRun)
    assert world.report().error == "node-lost"


def test_each_execution_has_a_user_of_its_own_while_there_are_any() -> None:
    world = World(slots=(70_000, 2)).up()
    for number in (1, 2):
        world.grant(a_spec(a_key(number, 1)))
    uids = [stage.uid for stage in world.all(commands.StageInputs)]
    assert uids == [70_000, 70_001]


# --- supervisor and stop ----------------------------------------------------------------------------------


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


def test_the_death_of_a_supervisor_is_what_the_next_one_tells() -> None:
    world = lived()
    world.staged()
    world.tell(SupervisorUp(frozenset([(KEY, "job")])))
    assert len(world.all(commands.StartRun)) == 1
    world.ended("job", None, why="lost")
    world.shipped()
    assert world.report().error == "supervisor-lost"


def test_what_the_last_supervisor_did_not_hear_is_said_to_the_next_one() -> None:
    world = lived()
    world.staged()
    world.cancel(KEY)
    answer = world.tell(SupervisorUp(frozenset()))
    assert [type(command) for command in answer] == [commands.StartRun, commands.KillTree]


def test_a_stopping_node_returns_its_work_and_leaves_when_all_reports_are_taken() -> None:
    world = World().up()
    world.grant(a_spec())
    world.staged()
    assert commands.KillTree(KEY, 10.0) in world.tell(StopRequested("return"))
    world.beat(waiting=[a_key(2, 1)])
    assert len(world.all(commands.SendClaim)) == 1
    world.ended("job", None, why="killed", signal=15)
    world.shipped()
    assert world.report().outcome == Outcome.RETURNED
    assert not world.all(commands.LeaveCluster)
    world.acknowledged()
    assert len(world.all(commands.LeaveCluster)) == 1


def test_a_stopping_node_lets_finished_work_be_delivered() -> None:
    world = World().up()
    world.grant(a_spec())
    world.staged()
    world.ended("job")
    world.tell(StopRequested("return"))
    world.collected()
    world.shipped()
    assert world.report().outcome == Outcome.COMPLETED


def test_a_draining_node_finishes_before_it_leaves() -> None:
    world = World().up()
    world.grant(a_spec())
    world.staged()
    world.tell(StopRequested("drain"))
    assert not world.all(commands.KillTree)
    world.ended("job")
    world.collected()
    world.shipped()
    world.acknowledged()
    assert len(world.all(commands.LeaveCluster)) == 1


def test_a_node_that_is_leaving_claims_nothing_more_though_it_is_wanted_again() -> None:
    world = World().up()
    world.beat(drain=True)
    assert len(world.all(commands.LeaveCluster)) == 1
    world.beat(waiting=[FIRST])
    assert not world.all(commands.SendClaim), "it would be gone before it could start"
