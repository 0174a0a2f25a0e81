"""The write-ahead journal: facts stand in the journal before the commands that rely on them are done.

While the journal cannot be written, nothing new is claimed or started, and nothing is released or removed. Reports still go out,
and the supervisor keeps the ends of commands until they stand in the journal.
"""

from __future__ import annotations

from workers import log
from workers.commands import NodeCommand, ReleaseTree, RemoveFiles, SendClaim, StageInputs
from workers.journal import Journal, JournalEntry
from workers.paths import ExecutionKey


class WriteAheadJournal:
    """The journal, and everything that waits for it. Used by one thread; `trouble` may be read from any."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unwritten: list[JournalEntry] = []
        self._deferred: list[NodeCommand] = []
        self.trouble: str | None = None
        """Why the journal cannot be written, as a sentence for people; None while it can."""

    def write(
        self, facts: list[JournalEntry], commands: list[NodeCommand]
    ) -> tuple[list[NodeCommand], list[ExecutionKey]]:
        """Write the facts, in one write. Return the commands that may be done now, and the placements not to claim.

        Commands that had to wait for the journal come first, once it can be written again.
        """
        if not facts and not self._unwritten and self.trouble is None:
            return commands, []
        try:
            if facts or self._unwritten:
                self._journal.append([*self._unwritten, *facts])
            else:  # all that could not be written were placements, which were dropped: nothing else would find out
                self._journal.try_to_write()
        except OSError as error:
            return self._defer(facts, commands, error)
        self._unwritten = []
        if self.trouble is not None:
            self.trouble = None
            log.logger().warning(log.JOURNAL_MENDED)
            commands, self._deferred = [*self._deferred, *commands], []
        return commands, []

    def _defer(
        self, facts: list[JournalEntry], commands: list[NodeCommand], error: OSError
    ) -> tuple[list[NodeCommand], list[ExecutionKey]]:
        if self.trouble is None:
            self.trouble = f"the journal cannot be written: {error.strerror}"
            log.logger().warning(log.JOURNAL_BROKEN, why=error.strerror)
        self._unwritten += [fact for fact in facts if fact.kind != "intent"]
        starting = {fact.key for fact in facts if fact.kind == "start"}
        waits = [_waits(command, starting) for command in commands]
        self._deferred += [command for command, deferred in zip(commands, waits, strict=True) if deferred]
        possible: list[NodeCommand] = [
            command
            for command, deferred in zip(commands, waits, strict=True)
            if not deferred and not isinstance(command, SendClaim)
        ]
        return possible, [fact.key for fact in facts if fact.kind == "intent"]


def _waits(command: NodeCommand, starting: set[ExecutionKey]) -> bool:
    """Whether a command is to wait for the journal: nothing of a start may be done that the next life would not know of."""
    if isinstance(command, StageInputs):
        return (command.spec.execution_id, command.spec.attempt) in starting
    return isinstance(command, ReleaseTree | RemoveFiles)
