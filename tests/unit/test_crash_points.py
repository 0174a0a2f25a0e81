"""The agent's death within every record of its journal and before every command: the next life restarts and loses nothing.

The real state machine and the real journal, one event after the other. What outlives an agent is played here: a supervisor that
never starts anything twice until it is released, a scheduler that grants a claim once and takes the same report again.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler import wire
from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from tests.support.keys import FIRST
from tests.support.node import a_spec
from workers import commands
from workers.agent.context import NodeProfile
from workers.agent.state_machine import StateMachine
from workers.commands import NodeCommand, WriteJournalEntry
from workers.events import (
    ClaimAnswered,
    Event,
    EventTime,
    HeartbeatAnswered,
    InputsStaged,
    OutputsCollected,
    OutputShipped,
    RegistrationAnswered,
    ReportAnswered,
    RunEnd,
    RunEnded,
    RunOutcome,
    SupervisorUp,
)
from workers.journal import Journal, JournalEntry
from workers.paths import Paths

pytestmark = pytest.mark.slow

KEY = FIRST
REF = wire.ExecutionRef(execution_id=ExecutionId(1), attempt=Attempt(1))
SPECS = {
    "a plain command": a_spec(),
    "every phase": a_spec(pre=["/bin/a"], post=["/bin/b"], cleanup=["/bin/c"]),
    "a command that fails": a_spec(job=["/bin/false"], cleanup=["/bin/c"]),
    "secrets": a_spec().model_copy(update={"secret_names": ["db"], "secrets": {"db": "x"}}),
}


class Killed(Exception):
    """The agent is dead."""


class Survivors:
    """Supervisor, scheduler and the disk."""

    def __init__(self, spec: wire.TaskSpec, journal: Path) -> None:
        self.spec, self.journal = spec, journal
        self.starts: Counter[str] = Counter()
        self.ends: dict[str, RunEnd] = {}
        self.token: str | None = None
        self.accepted: wire.ExecutionReport | None = None
        self.staged_late = 0
        self.lives = 0

    def start(self, phase: str) -> RunEnd:
        if phase not in self.ends:
            self.starts[phase] += 1
            failing = phase == "job" and self.spec.commands.job == ["/bin/false"]
            self.ends[phase] = RunEnd(RunOutcome.EXITED, int(failing))
        return self.ends[phase]

    def claim(self, claim: wire.ExecutionClaim) -> wire.ClaimAnswer:
        self.token = self.token or claim.token
        if claim.token != self.token or self.accepted is not None:
            refused = wire.RefusedClaim(execution_id=ExecutionId(1), attempt=Attempt(1), why="not yours")
            return wire.ClaimAnswer(granted=[], refused=[refused])
        return wire.ClaimAnswer(granted=[self.spec], refused=[])

    def report(self, report: wire.ExecutionReport) -> None:
        assert report.token == self.token
        assert self.accepted is None or self.accepted == report
        self.accepted = report


class Life:
    """One agent on what its forerunners left. A step is a write to the journal, or a command."""

    def __init__(self, rest: Survivors, dies_at: int | None, cut: int = 0) -> None:
        self.rest, self.dies_at, self.cut = rest, dies_at, cut
        rest.lives += 1
        self.steps: list[bytes] = []
        """What each step wrote: nothing, where it was a command."""
        self.journal = Journal(rest.journal)
        words = itertools.count()
        self.machine = StateMachine(
            NodeProfile("n1", Paths("/w", "/l"), None, None),
            lambda: f"{id(self):08d}-{next(words):08d}",
            self.journal.facts(),
        )
        self.events: deque[Event] = deque([SupervisorUp(frozenset((KEY, phase) for phase in rest.ends))])
        self.events.extend(RunEnded(KEY, phase, end) for phase, end in rest.ends.items())

    def live(self) -> None:
        """Go on until nothing happens any more; raises Killed."""
        try:
            while self.events:
                self._handle(self.events.popleft())
        finally:
            self.journal.close()

    def _handle(self, event: Event) -> None:
        wanted = self.machine.handle(event, EventTime(1000.0, 1e9 + self.rest.lives))
        facts = [command.fact for command in wanted if isinstance(command, WriteJournalEntry)]
        if facts:
            self._write(facts)
        for command in wanted:
            answer = _ANSWERS.get(type(command))
            if answer is not None:
                self._step(b"")
                self.events.extend(answer(self.rest, command))

    def _write(self, facts: list[JournalEntry]) -> None:
        before = self.rest.journal.stat().st_size
        self.journal.append(facts)
        try:
            self._step(self.rest.journal.read_bytes()[before:])
        except Killed:
            with self.rest.journal.open("r+b") as journal:
                journal.truncate(before + self.cut)
            raise

    def _step(self, written: bytes) -> None:
        if len(self.steps) == self.dies_at:
            raise Killed
        self.steps.append(written)


def _register(rest: Survivors, command: commands.RegisterNode) -> list[Event]:
    ours = [held for held in command.held if held.token == rest.token]
    answer = wire.Registered(
        node_id=NodeId(1), epoch=Epoch(1), beat_s=2, lease_s=90, keep=[REF for _ in ours if rest.accepted is None],
        kill=[REF for _ in ours if rest.accepted is not None],
    )  # fmt: skip
    waiting = [] if rest.token or rest.accepted else [REF]
    beat = wire.HeartbeatAnswer(epoch=Epoch(1), drain=False, cancels=[], waiting=waiting)
    return [RegistrationAnswered(answer, 1000.0), HeartbeatAnswered(beat, 1000.0)]


def _stage(rest: Survivors, _: commands.StageInputs) -> list[Event]:
    rest.staged_late += bool(rest.starts)
    return [InputsStaged(KEY, None)]


def _report(rest: Survivors, command: commands.SendReport) -> list[Event]:
    rest.report(command.report)
    return [ReportAnswered([KEY], [])]


def _release(rest: Survivors, _: commands.ReleaseTree) -> list[Event]:
    rest.ends.clear()
    return []


_ANSWERS: dict[type[NodeCommand], Callable[..., list[Event]]] = {
    commands.RegisterNode: _register,
    commands.SendClaim: lambda rest, command: [ClaimAnswered(rest.claim(command.claim))],
    commands.StageInputs: _stage,
    commands.StartRun: lambda rest, command: [RunEnded(KEY, command.run.phase, rest.start(command.run.phase))],
    commands.CollectOutputs: lambda *_: [OutputsCollected(KEY)],
    commands.ShipOutput: lambda *_: [OutputShipped(KEY)],
    commands.SendReport: _report,
    commands.ReleaseTree: _release,
}


def cuts(written: bytes) -> list[int]:
    """Return where a write may have been cut: before and after each record, and in it: its first, middle, last byte."""
    ends = list(itertools.accumulate(map(len, written.splitlines(keepends=True)), initial=0))
    return sorted({0, *(cut for a, b in itertools.pairwise(ends) for cut in (a, a + 1, (a + b) // 2, b - 1))})


def lived(spec: wire.TaskSpec, folder: Path, *deaths: tuple[int, int]) -> tuple[Survivors, list[bytes]]:
    """Let agents live one after the other, each but the last dying at its step, `cut` bytes into what it writes there."""
    journal = folder / "journal"
    for path in folder.glob("journal*"):
        path.unlink()
    rest = Survivors(spec, journal)
    for step, cut in deaths:
        try:
            Life(rest, step, cut).live()
        except Killed:
            continue
        break
    last = Life(rest, None)
    last.live()
    assert not last.machine.held
    return rest, last.steps


def ended(report: wire.ExecutionReport) -> tuple[object, ...]:
    """Return what of a report does not depend on the clock."""
    codes = {name: phase.exit_code for name, phase in report.phases.items()}
    return report.outcome, report.error, report.message, codes, report.outputs, report.properties


def kept(path: Path) -> list[JournalEntry]:
    journal = Journal(path)
    journal.close()
    return journal.facts()


def check(spec: wire.TaskSpec, rest: Survivors, expected: wire.ExecutionReport) -> None:
    commands = spec.commands.model_dump()
    wanted = [name for name in ("pre", "job", "post", "cleanup") if commands[name]]
    assert rest.starts == dict.fromkeys(wanted, 1)
    assert rest.accepted is not None
    assert ended(rest.accepted) == ended(expected)
    assert (rest.ends, rest.staged_late) == ({}, 0)
    assert kept(rest.journal) == []


@pytest.mark.parametrize("name", SPECS)
def test_a_death_in_any_record_of_the_journal_or_before_any_effect_is_made_good(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    whole, steps = lived(spec, tmp_path)
    assert whole.accepted is not None
    check(spec, whole, whole.accepted)
    points = [(step, cut) for step, written in enumerate(steps) for cut in cuts(written)]
    assert len(points) > 20
    for point in points:
        rest, _ = lived(spec, tmp_path, point)
        check(spec, rest, whole.accepted)


@pytest.mark.parametrize("name", SPECS)
def test_so_is_a_second_death_in_the_life_that_makes_it_good(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    whole, steps = lived(spec, tmp_path)
    assert whole.accepted is not None
    for first, second in itertools.product(range(len(steps)), range(len(steps) + 4)):
        rest, _ = lived(spec, tmp_path, (first, len(steps[first]) // 2), (second, 0))
        check(spec, rest, whole.accepted)


def test_whatever_byte_a_write_was_cut_at_only_its_whole_records_count(tmp_path: Path) -> None:
    """So the cuts within a record that the lives above were not tried with are the same as those they were."""
    journal = tmp_path / "journal"
    with pytest.raises(Killed):
        Life(Survivors(SPECS["every phase"], journal), 12).live()
    text = journal.read_bytes()
    facts = kept(journal)
    assert len(facts) >= 4
    for end in range(len(text) + 1):
        journal.write_bytes(text[:end])
        assert kept(journal) == facts[: text[:end].count(b"\n")]


def test_a_rewriting_of_the_journal_that_was_cut_short_at_any_byte_changes_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    rest = Survivors(SPECS["every phase"], journal)
    with pytest.raises(Killed):
        Life(rest, 8).live()
    facts, text = kept(journal), journal.read_bytes()
    assert facts
    for end in range(len(text) + 1):
        journal.with_suffix(".new").write_bytes(text[:end])
        assert kept(journal) == facts
