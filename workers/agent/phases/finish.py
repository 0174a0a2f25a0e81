"""The end of an execution, whatever it was: cleanup command, last output, report; or its purge without a word."""

from __future__ import annotations

from workers import log
from workers.agent.context import Desk
from workers.agent.execution import Held, State
from workers.agent.phases import run, verdict
from workers.commands import Kill, Release, Remove, Report, Say, Ship, StopWork


def begin(desk: Desk, held: Held) -> None:
    """Nothing more is to be run or collected: clean up, ship, report."""
    desk.deadlines.pop(held.key, None)
    fenced = held.failure is not None and held.failure.error == "node-lost"
    if held.orders.commands.cleanup and held.staged and held.last != "cleanup" and not fenced:
        failure = run.start(desk, held, "cleanup")
        if failure is None:
            return
    ship(desk, held)


def ship(desk: Desk, held: Held) -> None:
    """Have the rest of the output shipped, then report."""
    if not held.ran:
        report(desk, held)
        return
    held.state = State.SHIPPING
    desk.do(Ship(held.key, held.orders.limits.output_bytes))


def report(desk: Desk, held: Held) -> None:
    """Put the end on disk and send it; only then may the supervisor forget the tree and the directory go."""
    held.state = State.REPORTING
    for phase in held.phases.values():
        phase.setdefault("completed", desk.now.wall)
    held.report = verdict.report(held)
    desk.write(held, "report", {"report": held.report.model_dump_json()})
    desk.do(Report(held.report))
    if held.ran:
        desk.do(Release(held.key))
    if held.staged:
        desk.do(Remove(held.key))
    completed = held.report.outcome == "completed"
    desk.do(
        Say(
            log.EXECUTION_ENDED,
            {
                "execution": held.key[0],
                "attempt": held.key[1],
                "outcome": held.report.outcome,
                "error": held.report.error,
                "message": held.report.message,
            },
            "debug" if completed else "info",
        )
    )


def repeat(desk: Desk, held: Held) -> None:
    """Send the report of an earlier life again, and tidy up what that life may not have come to."""
    assert held.report is not None  # noqa: S101  only executions with a report are repeated
    held.state = State.REPORTING
    desk.do(Report(held.report))
    desk.do(Release(held.key))
    desk.do(Remove(held.key))


def purge(desk: Desk, held: Held) -> bool:
    """The scheduler has taken the execution away: kill what runs, drop what it made, report nothing.

    True if nothing of it was in motion, so that the core may take it from its books at once.
    """
    desk.say(log.EXECUTION_PURGED, held, state=str(held.state))
    state, held.state = held.state, State.PURGING
    desk.deadlines.pop(held.key, None)
    if held.running is not None:
        desk.do(Kill(held.key, 0.0))
    elif state in {State.STAGING, State.COLLECTING}:
        desk.do(StopWork(held.key))
    else:
        dropped(desk, held)
        return True
    return False


def dropped(desk: Desk, held: Held) -> None:
    """What was purged has come to rest: forget it. The core then takes it from its books."""
    desk.write(held, "done", {})
    if held.ran:
        desk.do(Release(held.key))
    if held.spec is not None:
        desk.do(Remove(held.key))
